# The public HTTP function, with which apps register their own push token. It verifies a
# Firebase Auth ID token itself. It is off by default, because everyone on the internet
# can call it, and every call costs.

resource "google_service_account" "devices" {
  count = var.devices.enabled ? 1 : 0

  project      = var.project_id
  account_id   = "${var.prefix}-devices"
  display_name = "Carillon: registers the caller's own push token"

  depends_on = [google_project_service.this]
}

resource "google_cloudfunctions2_function" "devices" {
  count = var.devices.enabled ? 1 : 0

  project     = var.project_id
  location    = var.region
  name        = "${var.prefix}-devices"
  description = "registers the caller's own push token"
  labels      = local.labels

  build_config {
    runtime           = "go126"
    entry_point       = "devices"
    service_account   = google_service_account.build.id
    docker_repository = google_artifact_registry_repository.images.id

    environment_variables = local.build_environment

    source {
      storage_source {
        bucket = google_storage_bucket.source.name
        object = google_storage_bucket_object.source["devices"].name
      }
    }
  }

  service_config {
    service_account_email            = google_service_account.devices[0].email
    ingress_settings                 = "ALLOW_ALL"
    all_traffic_on_latest_revision   = true
    available_cpu                    = var.functions.devices.cpu
    available_memory                 = var.functions.devices.memory
    max_instance_request_concurrency = var.functions.devices.concurrency
    min_instance_count               = var.functions.devices.min_instances
    max_instance_count               = var.functions.devices.max_instances
    timeout_seconds                  = var.functions.devices.timeout_seconds

    environment_variables = merge(local.environment, {
      CALL_TIMEOUT    = "${var.functions.devices.timeout_seconds}s"
      EVENTS_TOPIC    = google_pubsub_topic.events.name
      MAX_TOKENS      = var.max_tokens
      TOKEN_LIFE      = var.token_life
      CUSTOMER_CLAIM  = var.devices.customer_claim
      AUTH_TENANT     = var.devices.tenant
      CHECK_REVOKED   = var.devices.check_revoked
      ALLOWED_ORIGINS = join(",", var.devices.allowed_origins)
      APP_CHECK       = var.devices.app_check

      REGISTRATIONS_PER_HOUR = var.devices.registrations_per_hour
      REGISTRATIONS_PER_DAY  = var.devices.registrations_per_day
      MOVES_PER_HOUR         = var.devices.moves_per_hour
      MOVES_PER_DAY          = var.devices.moves_per_day
      EVENTS_PER_HOUR        = var.devices.events_per_hour
    })
  }

  depends_on = [
    google_project_iam_member.build_logs,
    google_project_iam_member.build_sources,
    google_artifact_registry_repository_iam_member.build,
    google_storage_bucket_iam_member.build,
  ]

  lifecycle {
    precondition {
      condition     = length(local.function_files["devices"]) > 0
      error_message = "devices.enabled cannot be true: functions/devices contains no Go file."
    }
  }
}

# This is a warning in every plan and not an error.
check "devices_is_public" {
  assert {
    condition     = !var.devices.enabled
    error_message = "devices.enabled makes ${var.prefix}-devices callable by everyone on the internet. It refuses calls without a Firebase Auth ID token; functions.devices.max_instances limits its instances and so its cost."
  }
}
