# The worker that Cloud Scheduler wakes each minute. Only Pub/Sub reaches it.

resource "google_service_account" "tick" {
  project      = var.project_id
  account_id   = "${var.prefix}-tick"
  display_name = "Carillon: the clock and the safety net"

  depends_on = [google_project_service.this]
}

resource "google_cloudfunctions2_function" "tick" {
  project     = var.project_id
  location    = var.region
  name        = "${var.prefix}-tick"
  description = "the clock and the safety net"
  labels      = local.labels

  build_config {
    runtime           = "go126"
    entry_point       = "tick"
    service_account   = google_service_account.build.id
    docker_repository = google_artifact_registry_repository.images.id

    environment_variables = local.build_environment

    source {
      storage_source {
        bucket = google_storage_bucket.source.name
        object = google_storage_bucket_object.source["tick"].name
      }
    }
  }

  service_config {
    service_account_email            = google_service_account.tick.email
    ingress_settings                 = "ALLOW_INTERNAL_ONLY"
    all_traffic_on_latest_revision   = true
    available_cpu                    = var.functions.tick.cpu
    available_memory                 = var.functions.tick.memory
    max_instance_request_concurrency = var.functions.tick.concurrency
    min_instance_count               = var.functions.tick.min_instances
    max_instance_count               = var.functions.tick.max_instances
    timeout_seconds                  = var.functions.tick.timeout_seconds

    environment_variables = merge(local.environment, {
      CALL_TIMEOUT        = "${var.functions.tick.timeout_seconds}s"
      DISPATCH_TOPIC      = google_pubsub_topic.work["dispatch"].name
      DELIVER_TOPIC       = google_pubsub_topic.work["deliver"].name
      DELIVER_SMALL_TOPIC = google_pubsub_topic.work["deliver-small"].name
      MESSAGES_TOPIC      = google_pubsub_topic.work["messages"].name
      EVENTS_TOPIC        = google_pubsub_topic.events.name
      TICK_EVERY          = "60s" # the schedule of its job
      TOKEN_LIFE          = var.token_life
    })
  }

  depends_on = [
    google_project_iam_member.build_logs,
    google_project_iam_member.build_sources,
    google_artifact_registry_repository_iam_member.build,
    google_storage_bucket_iam_member.build,
  ]
}
