# The worker that turns an audience into batches. Only Pub/Sub can call it.

resource "google_service_account" "dispatch" {
  project      = var.project_id
  account_id   = "${var.prefix}-dispatch"
  display_name = "Carillon: turns the audience of a mailing into batches"

  depends_on = [google_project_service.this]
}

resource "google_cloudfunctions2_function" "dispatch" {
  project     = var.project_id
  location    = var.region
  name        = "${var.prefix}-dispatch"
  description = "turns the audience of a mailing into batches"
  labels      = local.labels

  build_config {
    runtime           = "go126"
    entry_point       = "dispatch"
    service_account   = google_service_account.build.id
    docker_repository = google_artifact_registry_repository.images.id

    environment_variables = local.build_environment

    source {
      storage_source {
        bucket = google_storage_bucket.source.name
        object = google_storage_bucket_object.source["dispatch"].name
      }
    }
  }

  service_config {
    service_account_email            = google_service_account.dispatch.email
    ingress_settings                 = "ALLOW_INTERNAL_ONLY"
    all_traffic_on_latest_revision   = true
    available_cpu                    = var.functions.dispatch.cpu
    available_memory                 = var.functions.dispatch.memory
    max_instance_request_concurrency = var.functions.dispatch.concurrency
    min_instance_count               = var.functions.dispatch.min_instances
    max_instance_count               = var.functions.dispatch.max_instances
    timeout_seconds                  = var.functions.dispatch.timeout_seconds

    environment_variables = merge(local.environment, {
      CALL_TIMEOUT           = "${var.functions.dispatch.timeout_seconds}s"
      DISPATCH_TOPIC         = google_pubsub_topic.work["dispatch"].name
      DELIVER_TOPIC          = google_pubsub_topic.work["deliver"].name
      DELIVER_SMALL_TOPIC    = google_pubsub_topic.work["deliver-small"].name
      TICK_TOPIC             = google_pubsub_topic.work["tick"].name
      EVENTS_TOPIC           = google_pubsub_topic.events.name
      FCM_QUOTA_PER_MINUTE   = local.planned_quota
      ROSTERS_FROM_CUSTOMERS = var.rosters_from_customers
    })
  }

  depends_on = [
    google_project_iam_member.build_logs,
    google_project_iam_member.build_sources,
    google_artifact_registry_repository_iam_member.build,
    google_storage_bucket_iam_member.build,
  ]
}
