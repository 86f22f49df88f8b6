# What every other file leans on: the project, its APIs, names and labels.

locals {
  repository = coalesce(var.source_root, "${path.module}/..")

  labels = merge({ app = var.prefix }, var.labels)

  functions = toset(concat(
    ["mailings", "customers", "dispatch", "deliver", "tick"],
    var.devices.enabled ? ["devices"] : [],
  ))
  # The small lane of deliver is the same code as a Cloud Run service of its own:
  # its queue and its instances serve small mailings while large ones are sent. So is
  # the lane of messages to one customer.
  lanes   = toset(["deliver", "deliver-small", "messages"])
  running = setunion(local.functions, local.lanes)
  workers = setunion(local.lanes, ["dispatch", "tick"])

  # Whether devices asks Firebase Auth about its callers' accounts.
  asks_accounts = var.devices.enabled && var.devices.check_revoked

  services = toset(concat([
    "artifactregistry.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudfunctions.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "cloudscheduler.googleapis.com",
    "fcm.googleapis.com",
    "firebaserules.googleapis.com",
    "firestore.googleapis.com",
    "iam.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "storage.googleapis.com",
    ],
    var.reports.enabled ? ["bigquery.googleapis.com"] : [],
    var.budget != null ? ["billingbudgets.googleapis.com"] : [],
    local.asks_accounts ? ["identitytoolkit.googleapis.com"] : [],
  ))

  # Every function is told these; what it is told besides stands in its file.
  environment = {
    GOOGLE_CLOUD_PROJECT = var.project_id
    FIRESTORE_DATABASE   = google_firestore_database.this.name
    LOG_LEVEL            = var.log_level
  }

  # Pub/Sub's own account in this project: it pushes, and moves dead letters.
  pubsub_agent = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

data "google_project" "this" {
  project_id = var.project_id
}

resource "google_project_service" "this" {
  for_each = local.services

  project            = var.project_id
  service            = each.key
  disable_on_destroy = false # other things in the project may live on it
}
