# The jobs of Cloud Scheduler: tick, each minute, and the weekly token check.

resource "google_cloud_scheduler_job" "tick" {
  project     = var.project_id
  region      = coalesce(var.scheduler_region, var.region)
  name        = "${var.prefix}-tick"
  description = "wakes Carillon's tick each minute"
  schedule    = "* * * * *"
  time_zone   = "Etc/UTC"
  paused      = var.stopped

  pubsub_target {
    topic_name = google_pubsub_topic.work["tick"].id
    data       = base64encode(jsonencode({ clock = "each minute" }))
  }

  depends_on = [google_project_service.this]
}

# A dry run to everyone. FCM validates a message for every token, and no phone shows it. So
# Carillon finds and flags the tokens that became invalid since the last mailing.
resource "google_cloud_scheduler_job" "token_check" {
  count = var.token_check.enabled ? 1 : 0

  project          = var.project_id
  region           = coalesce(var.scheduler_region, var.region)
  name             = "${var.prefix}-token-check"
  description      = "starts a dry run to everyone, to find invalid tokens"
  schedule         = var.token_check.schedule
  time_zone        = var.token_check.time_zone
  paused           = var.stopped
  attempt_deadline = "${max(15, min(1800, var.functions.mailings.timeout_seconds))}s" # Cloud Scheduler accepts 15 s to 30 minutes

  http_target {
    http_method = "POST"
    uri         = "${google_cloudfunctions2_function.mailings.service_config[0].uri}/v1/mailings"
    headers     = { "Content-Type" = "application/json" }
    body        = filebase64("${path.module}/token_check.json")

    oidc_token {
      service_account_email = google_service_account.scheduler.email
      audience              = google_cloudfunctions2_function.mailings.service_config[0].uri
    }
  }

  retry_config {
    retry_count = 0 # a retry would start a second dry run
  }

  depends_on = [google_project_service.this]
}
