# The permission with which tick fetches what FCM reports of messages to Android phones
# (var.delivery_data_apps). Nothing of it exists by default.

locals {
  delivery_data_apps = join(",", flatten([
    for project, ids in var.delivery_data_apps : [for id in ids : "projects/${project}/androidApps/${id}"]
  ]))
  delivery_data_projects = toset(keys(var.delivery_data_apps))
}

# A custom role exists in one project, so each project has its own.
resource "google_project_iam_custom_role" "delivery_data" {
  for_each = local.delivery_data_projects

  project     = each.key
  role_id     = "${replace(var.prefix, "-", "_")}_delivery_data"
  title       = "Carillon: read FCM's delivery data"
  permissions = ["fcmdata.deliverydata.list"]

  depends_on = [google_project_service.this]
}

resource "google_project_iam_member" "delivery_data" {
  for_each = local.delivery_data_projects

  project = each.key
  role    = "projects/${each.key}/roles/${google_project_iam_custom_role.delivery_data[each.key].role_id}"
  member  = google_service_account.tick.member
}

# Google's documentation does not say whether the API has to be enabled in the project of
# the account or in that of the app. So it is enabled in both.
resource "google_project_service" "delivery_data" {
  for_each = length(local.delivery_data_projects) > 0 ? setunion(local.delivery_data_projects, [var.project_id]) : []

  project            = each.key
  service            = "fcmdata.googleapis.com"
  disable_on_destroy = false # others in the project may use it
}
