# The page for people. It is off by default. Identity-Aware Proxy or IAM lets people in, and
# the console gives them a role. Its account may do nothing but call mailings and customers.

resource "google_service_account" "console" {
  count = var.console.enabled ? 1 : 0

  project      = var.project_id
  account_id   = "${var.prefix}-console"
  display_name = "Carillon: serves the page on which people see mailings and send"

  depends_on = [google_project_service.this]
}

resource "google_cloudfunctions2_function" "console" {
  count = var.console.enabled ? 1 : 0

  project     = var.project_id
  location    = var.region
  name        = "${var.prefix}-console"
  description = "serves the page on which people see mailings and send"
  labels      = local.labels

  build_config {
    runtime           = "go126"
    entry_point       = "console"
    service_account   = google_service_account.build.id
    docker_repository = google_artifact_registry_repository.images.id

    environment_variables = local.build_environment

    source {
      storage_source {
        bucket = google_storage_bucket.source.name
        object = google_storage_bucket_object.source["console"].name
      }
    }
  }

  service_config {
    service_account_email            = google_service_account.console[0].email
    ingress_settings                 = "ALLOW_ALL"
    all_traffic_on_latest_revision   = true
    available_cpu                    = var.functions.console.cpu
    available_memory                 = var.functions.console.memory
    max_instance_request_concurrency = var.functions.console.concurrency
    min_instance_count               = var.functions.console.min_instances
    max_instance_count               = var.functions.console.max_instances
    timeout_seconds                  = var.functions.console.timeout_seconds

    environment_variables = merge(local.environment, {
      CALL_TIMEOUT     = "${var.functions.console.timeout_seconds}s"
      CONSOLE_IDENTITY = var.console.identity
      CONSOLE_LOOK     = join(",", var.console.look)
      CONSOLE_SEND     = join(",", var.console.send)
      MAILINGS_URL     = google_cloudfunctions2_function.mailings.service_config[0].uri
      CUSTOMERS_URL    = google_cloudfunctions2_function.customers.service_config[0].uri
      IAP_AUDIENCE     = "/projects/${data.google_project.this.number}/locations/${var.region}/services/${var.prefix}-console"
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
      condition     = length(local.function_files["console"]) > 0
      error_message = "console.enabled cannot be true: functions/console contains no Go file."
    }
  }
}

# Identity-Aware Proxy calls the console with an account of its own.
resource "google_cloud_run_v2_service_iam_member" "iap" {
  count = var.console.enabled && var.console.identity == "iap" ? 1 : 0

  project  = var.project_id
  location = var.region
  name     = google_cloudfunctions2_function.console[0].name
  role     = "roles/run.invoker"
  member   = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-iap.iam.gserviceaccount.com"

  lifecycle {
    replace_triggered_by = [google_cloudfunctions2_function.console[0].id] # a new service has no grants
  }
}

# With identity proxy, people call the console themselves, through gcloud run services proxy.
resource "google_cloud_run_v2_service_iam_member" "people" {
  for_each = var.console.enabled && var.console.identity == "proxy" ? var.console.people : toset([])

  project  = var.project_id
  location = var.region
  name     = google_cloudfunctions2_function.console[0].name
  role     = "roles/run.invoker"
  member   = each.key

  lifecycle {
    replace_triggered_by = [google_cloudfunctions2_function.console[0].id] # a new service has no grants
  }
}

resource "google_cloud_run_v2_service_iam_member" "console" {
  for_each = var.console.enabled ? {
    mailings  = google_cloudfunctions2_function.mailings.name
    customers = google_cloudfunctions2_function.customers.name
  } : {}

  project  = var.project_id
  location = var.region
  name     = each.value
  role     = "roles/run.invoker"
  member   = google_service_account.console[0].member

  lifecycle {
    replace_triggered_by = [google_cloudfunctions2_function.mailings.id, google_cloudfunctions2_function.customers.id] # a new service has no grants
  }
}
