# The worker that Cloud Scheduler starts each minute through Pub/Sub. Only Pub/Sub can call
# it.

resource "google_service_account" "tick" {
  project      = var.project_id
  account_id   = "${var.prefix}-tick"
  display_name = "Carillon: starts what is due and republishes what was lost"

  depends_on = [google_project_service.this]
}

resource "google_cloudfunctions2_function" "tick" {
  project     = var.project_id
  location    = var.region
  name        = "${var.prefix}-tick"
  description = "starts what is due and republishes what was lost"
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
      TICK_EVERY          = "60s" # the interval of its job in scheduler.tf
      TOKEN_LIFE          = var.token_life
      DELIVERY_DATA_APPS  = local.delivery_data_apps
      DELIVERY_DATA_EVERY = "24h"
      FCM_DATA_ENDPOINT   = "https://fcmdata.googleapis.com"
    })
  }

  depends_on = [
    google_project_iam_member.build_logs,
    google_project_iam_member.build_sources,
    google_artifact_registry_repository_iam_member.build,
    google_storage_bucket_iam_member.build,
  ]
}
