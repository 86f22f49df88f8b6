# The HTTP function that accepts mailings. Only invokers can call it (IAM).

resource "google_service_account" "mailings" {
  project      = var.project_id
  account_id   = "${var.prefix}-mailings"
  display_name = "Carillon: accepts mailings over HTTP"

  depends_on = [google_project_service.this]
}

resource "google_cloudfunctions2_function" "mailings" {
  project     = var.project_id
  location    = var.region
  name        = "${var.prefix}-mailings"
  description = "accepts mailings over HTTP"
  labels      = local.labels

  build_config {
    runtime           = "go126"
    entry_point       = "mailings"
    service_account   = google_service_account.build.id
    docker_repository = google_artifact_registry_repository.images.id

    environment_variables = local.build_environment

    source {
      storage_source {
        bucket = google_storage_bucket.source.name
        object = google_storage_bucket_object.source["mailings"].name
      }
    }
  }

  service_config {
    service_account_email            = google_service_account.mailings.email
    ingress_settings                 = "ALLOW_ALL"
    all_traffic_on_latest_revision   = true
    available_cpu                    = var.functions.mailings.cpu
    available_memory                 = var.functions.mailings.memory
    max_instance_request_concurrency = var.functions.mailings.concurrency
    min_instance_count               = var.functions.mailings.min_instances
    max_instance_count               = var.functions.mailings.max_instances
    timeout_seconds                  = var.functions.mailings.timeout_seconds

    environment_variables = merge(local.environment, {
      CALLERS                 = local.mailings_callers
      CONSOLE_CALLER          = var.console.enabled ? google_service_account.console[0].email : ""
      CALL_TIMEOUT            = "${var.functions.mailings.timeout_seconds}s"
      DELIVERY_DATA_APPS      = local.delivery_data_apps
      DISPATCH_TOPIC          = google_pubsub_topic.work["dispatch"].name
      MESSAGES_TOPIC          = google_pubsub_topic.work["messages"].name
      FCM_ENDPOINT            = var.fcm_endpoint
      FCM_QUOTA_PER_MINUTE    = var.fcm_quota_per_minute
      FIREBASE_PROJECTS       = local.app_projects
      PROOF_TOPIC             = var.proof_topic
      REQUIRE_IDEMPOTENCY_KEY = var.require_idempotency_key
    })
  }

  depends_on = [
    google_project_iam_member.build_logs,
    google_project_iam_member.build_sources,
    google_artifact_registry_repository_iam_member.build,
    google_storage_bucket_iam_member.build,
  ]
}
