# The upload of each function. The Go buildpack expects the function's package at the root,
# and no other package there. So the upload has the files of functions/<name>/*.go at
# its root, with go.mod, go.sum and shared/. Of shared/ it has the Go code and the files of
# the page, which are embedded. It contains no tests, no test data and no other files.

locals {
  # Without symbols and debug data a binary is a third smaller, so an instance loads less
  # when it starts. Stack traces still have line numbers.
  build_environment = {
    GOOGLE_GOLDFLAGS = "-s -w"
  }

  shared_files = {
    for f in setunion(fileset(local.repository, "shared/**/*.go"), fileset(local.repository, "shared/page/files/**")) : f => "${local.repository}/${f}"
    if !endswith(f, "_test.go") && !strcontains(f, "/testdata/")
  }

  function_files = {
    for name in local.functions : name => {
      for f in fileset("${local.repository}/functions/${name}", "*.go") : f => "${local.repository}/functions/${name}/${f}"
      if !endswith(f, "_test.go")
    }
  }

  module_files = {
    for f in ["go.mod", "go.sum"] : f => "${local.repository}/${f}"
  }
}

data "archive_file" "source" {
  for_each = local.functions

  type             = "zip"
  output_path      = "${path.root}/.terraform/${var.prefix}-${each.key}.zip"
  output_file_mode = "0644" # so that every machine makes the same bytes

  dynamic "source" {
    for_each = merge(local.shared_files, local.module_files, local.function_files[each.key])
    content {
      filename = source.key
      content  = file(source.value)
    }
  }

  lifecycle {
    precondition {
      condition     = fileexists("${local.repository}/go.mod") && fileexists("${local.repository}/go.sum") && length(local.shared_files) > 0
      error_message = "${local.repository} contains no go.mod, go.sum or shared/: the module must be in a checkout of Carillon, or source_root must name one."
    }
  }
}

# Names of buckets are unique in the world. This one has the region, so that after the loss
# of a region a new bucket can be made in another while the old one still exists. It has the
# number of the project, because with the id it could have more than 63 characters.
resource "google_storage_bucket" "source" {
  project                     = var.project_id
  name                        = "${var.prefix}-source-${data.google_project.this.number}-${var.region}"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true # everything in it is also in the repository
  labels                      = local.labels

  depends_on = [google_project_service.this]
}

# The name contains the hash of the upload, so that a function is deployed again only if
# its own upload has changed.
resource "google_storage_bucket_object" "source" {
  for_each = local.functions

  bucket = google_storage_bucket.source.name
  name   = "${each.key}-${data.archive_file.source[each.key].output_sha256}.zip"
  source = data.archive_file.source[each.key].output_path
}

resource "google_artifact_registry_repository" "images" {
  project                = var.project_id
  location               = var.region
  repository_id          = "${var.prefix}-functions"
  format                 = "DOCKER"
  description            = "Images of Carillon's functions, built by Cloud Build"
  labels                 = local.labels
  cleanup_policy_dry_run = false

  cleanup_policies {
    id     = "keep-the-newest"
    action = "KEEP"
    most_recent_versions {
      keep_count = 5
    }
  }

  cleanup_policies {
    id     = "delete-after-a-month"
    action = "DELETE"
    condition {
      older_than = "2592000s"
    }
  }

  depends_on = [google_project_service.this]
}

resource "google_service_account" "build" {
  project      = var.project_id
  account_id   = "${var.prefix}-build"
  display_name = "Carillon: builds the functions"

  depends_on = [google_project_service.this]
}
