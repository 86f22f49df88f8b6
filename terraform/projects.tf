# The Firebase projects of apps that are not in var.project_id. Everything else of Carillon
# is in var.project_id.

locals {
  app_projects   = join(",", [for app, project in var.firebase_projects : "${app}=${project}"])
  project_quotas = join(",", [for project, quota in var.firebase_quotas : "${project}=${quota}"])

  # dispatch prepares what all projects together may send: with the quota of one alone, the
  # others would run out of batches.
  planned_quota = min(1000000000, var.fcm_quota_per_minute + sum(concat([0], [
    for project in local.firebase_projects : lookup(var.firebase_quotas, project, var.fcm_quota_per_minute)
  ])))
  firebase_projects = toset([for project in values(var.firebase_projects) : project if project != var.project_id])
  foreign_senders = merge([
    for project in local.firebase_projects : {
      for name, member in local.senders : "${project}/${name}" => { project = project, member = member }
    }
  ]...)
}

# A custom role exists in one project, so each project has its own. The second permission
# is needed to use the quota of that project and not of the project of the account.
resource "google_project_iam_custom_role" "firebase_sender" {
  for_each = local.firebase_projects

  project     = each.key
  role_id     = "${replace(var.prefix, "-", "_")}_sender"
  title       = "Carillon: send push messages"
  permissions = ["cloudmessaging.messages.create", "serviceusage.services.use"]

  depends_on = [google_project_service.firebase]
}

resource "google_project_iam_member" "firebase_sender" {
  for_each = local.foreign_senders

  project = each.value.project
  role    = "projects/${each.value.project}/roles/${google_project_iam_custom_role.firebase_sender[each.value.project].role_id}"
  member  = each.value.member
}

resource "google_project_service" "firebase" {
  for_each = local.firebase_projects

  project            = each.key
  service            = "fcm.googleapis.com"
  disable_on_destroy = false # the project sent before Carillon came, and may go on
}
