# The database, its indexes, TTL policies and rules. Terraform and the Firebase CLI read
# the indexes and the rules from the same files, so they cannot differ. The CLI deploys to
# the database that firebase.json names, which is the default of var.database.

locals {
  indexes = jsondecode(file("${path.module}/../firestore.indexes.json"))

  composite_indexes = {
    for x in local.indexes.indexes : "${x.collectionGroup}${x.queryScope == "COLLECTION_GROUP" ? " of all" : ""}: ${join(", ", [for f in x.fields : f.fieldPath])}" => x
  }
  field_overrides = {
    for x in local.indexes.fieldOverrides : "${x.collectionGroup}.${x.fieldPath}" => x
  }
}

resource "google_firestore_database" "this" {
  project                           = var.project_id
  name                              = var.database
  location_id                       = coalesce(var.firestore_location, var.region)
  type                              = "FIRESTORE_NATIVE"
  concurrency_mode                  = "PESSIMISTIC"
  point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"
  delete_protection_state           = var.protect_data ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy                   = "DELETE" # delete protection still prevents it

  depends_on = [google_project_service.this]
}

check "database_is_not_shared" {
  assert {
    condition     = var.database != "(default)"
    error_message = "Carillon uses the default database. If an app or other software uses it, too, set database to another name: Carillon's rules refuse every client of this database, its TTL policies and exemptions change every collection of the same name, and terraform destroy deletes all of it."
  }
}

resource "google_firestore_backup_schedule" "daily" {
  project   = var.project_id
  database  = google_firestore_database.this.name
  retention = var.backup_retention

  daily_recurrence {}
}

resource "google_firestore_index" "this" {
  for_each = local.composite_indexes

  project     = var.project_id
  database    = google_firestore_database.this.name
  collection  = each.value.collectionGroup
  query_scope = each.value.queryScope

  dynamic "fields" {
    for_each = each.value.fields
    content {
      field_path   = fields.value.fieldPath
      order        = try(fields.value.order, null)
      array_config = try(fields.value.arrayConfig, null)
    }
  }
}

resource "google_firestore_field" "this" {
  for_each = local.field_overrides

  project    = var.project_id
  database   = google_firestore_database.this.name
  collection = each.value.collectionGroup
  field      = each.value.fieldPath

  index_config {
    dynamic "indexes" {
      for_each = each.value.indexes
      content {
        order        = try(indexes.value.order, null)
        array_config = try(indexes.value.arrayConfig, null)
        query_scope  = indexes.value.queryScope
      }
    }
  }

  dynamic "ttl_config" {
    for_each = try(each.value.ttl, false) ? [true] : []
    content {}
  }
}

resource "google_firebaserules_ruleset" "this" {
  project = var.project_id

  source {
    files {
      name    = "firestore.rules"
      content = file("${path.module}/../firestore.rules")
    }
  }

  lifecycle {
    create_before_destroy = true # Google does not delete a ruleset that is released
  }

  depends_on = [google_project_service.this]
}

# The only release of rules for this database.
resource "google_firebaserules_release" "this" {
  project      = var.project_id
  name         = var.database == "(default)" ? "cloud.firestore" : "cloud.firestore/${var.database}"
  ruleset_name = google_firebaserules_ruleset.this.name

  depends_on = [google_firestore_database.this]
}
