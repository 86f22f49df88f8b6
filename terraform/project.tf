# What every other file uses: the project, its APIs, names and labels.

locals {
  repository = coalesce(var.source_root, "${path.module}/..")

  labels = merge({ app = var.prefix }, var.labels)

  functions = toset(concat(
    ["mailings", "customers", "dispatch", "deliver", "tick"],
    var.devices.enabled ? ["devices"] : [],
    var.console.enabled ? ["console"] : [],
  ))
  # Each lane is a Cloud Run service of its own with the code of deliver, and has its own
  # topic. So small mailings (deliver-small) and messages to one customer (messages) do not
  # wait for the queue and the instances of large mailings (deliver).
  lanes   = toset(["deliver", "deliver-small", "messages"])
  running = setunion(local.functions, local.lanes)
  workers = setunion(local.lanes, ["dispatch", "tick"])

  # Whether devices asks Google about the account of each caller.
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
    var.bigquery.enabled ? ["bigquery.googleapis.com"] : [],
    var.budget != null ? ["billingbudgets.googleapis.com"] : [],
    var.console.enabled && var.console.identity == "iap" ? ["iap.googleapis.com"] : [],
    local.asks_accounts ? ["identitytoolkit.googleapis.com"] : [],
  ))

  # The settings of every function. The file of a function has its further settings.
  environment = {
    GOOGLE_CLOUD_PROJECT = var.project_id
    FIRESTORE_DATABASE   = google_firestore_database.this.name
    LOG_LEVEL            = var.log_level
  }

  # The account of Pub/Sub itself in this project. It signs push requests and moves dead
  # letters.
  pubsub_agent = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

data "google_project" "this" {
  project_id = var.project_id
}

resource "google_project_service" "this" {
  for_each = local.services

  project            = var.project_id
  service            = each.key
  disable_on_destroy = false # other software in the project may use the API
}
