# The HTTP function that registers push tokens. Only invokers can call it (IAM).

resource "google_service_account" "customers" {
  project      = var.project_id
  account_id   = "${var.prefix}-customers"
  display_name = "Carillon: registers push tokens and answers which customers can be reached"

  depends_on = [google_project_service.this]
}

resource "google_cloudfunctions2_function" "customers" {
  project     = var.project_id
  location    = var.region
  name        = "${var.prefix}-customers"
  description = "registers push tokens and answers which customers can be reached"
  labels      = local.labels

  build_config {
    runtime           = "go126"
    entry_point       = "customers"
    service_account   = google_service_account.build.id
    docker_repository = google_artifact_registry_repository.images.id

    environment_variables = local.build_environment

    source {
      storage_source {
        bucket = google_storage_bucket.source.name
        object = google_storage_bucket_object.source["customers"].name
      }
    }
  }

  service_config {
    service_account_email            = google_service_account.customers.email
    ingress_settings                 = "ALLOW_ALL"
    all_traffic_on_latest_revision   = true
    available_cpu                    = var.functions.customers.cpu
    available_memory                 = var.functions.customers.memory
    max_instance_request_concurrency = var.functions.customers.concurrency
    min_instance_count               = var.functions.customers.min_instances
    max_instance_count               = var.functions.customers.max_instances
    timeout_seconds                  = var.functions.customers.timeout_seconds

    environment_variables = merge(local.environment, {
      CALLERS        = var.callers == null ? "" : jsonencode(var.callers)
      CONSOLE_CALLER = var.console.enabled ? google_service_account.console[0].email : ""
      CALL_TIMEOUT   = "${var.functions.customers.timeout_seconds}s"
      EVENTS_TOPIC   = google_pubsub_topic.events.name
      MAX_TOKENS     = var.max_tokens
      TOKEN_LIFE     = var.token_life
    })
  }

  depends_on = [
    google_project_iam_member.build_logs,
    google_project_iam_member.build_sources,
    google_artifact_registry_repository_iam_member.build,
    google_storage_bucket_iam_member.build,
  ]
}
