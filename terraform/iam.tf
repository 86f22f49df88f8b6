# All grants. A role is granted on a resource, and on the project only where a resource
# cannot have it. Every grant adds one member to a role, so it never removes the members
# that others added.

# The identity with which Pub/Sub calls the workers.
resource "google_service_account" "delivery" {
  project      = var.project_id
  account_id   = "${var.prefix}-delivery"
  display_name = "Carillon: Pub/Sub pushes to the workers"

  depends_on = [google_project_service.this]
}

# The identity with which Cloud Scheduler calls the API, for the token check.
resource "google_service_account" "scheduler" {
  project      = var.project_id
  account_id   = "${var.prefix}-scheduler"
  display_name = "Carillon: Cloud Scheduler calls the API"

  depends_on = [google_project_service.this]
}

locals {
  members = merge({
    mailings  = google_service_account.mailings.member
    customers = google_service_account.customers.member
    dispatch  = google_service_account.dispatch.member
    deliver   = google_service_account.deliver.member
    tick      = google_service_account.tick.member
    },
    var.devices.enabled ? { devices = google_service_account.devices[0].member } : {},
  )

  # The topics that each function publishes to.
  publishes = merge({
    mailings  = ["dispatch", "messages"]
    customers = ["push-events"]
    dispatch  = ["dispatch", "deliver", "deliver-small", "tick", "push-events"]
    deliver   = ["push-events"]
    tick      = ["dispatch", "deliver", "deliver-small", "messages", "push-events"]
    },
    var.devices.enabled ? { devices = ["push-events"] } : {},
  )
  topics = merge({ for n, t in google_pubsub_topic.work : n => t.name }, { push-events = google_pubsub_topic.events.name })
  publications = merge([
    for name, topics in local.publishes : { for t in topics : "${name}/${t}" => { function = name, topic = t } }
  ]...)

  invocations = merge([
    for name, members in var.invokers : { for m in members : "${name}/${m}" => { function = name, member = m } }
  ]...)
}

locals {
  # What mailings reads as CALLERS. Cloud Scheduler calls it with an account of its own.
  mailings_callers = var.callers == null ? "" : jsonencode(merge(var.callers, !var.token_check.enabled ? {} : {
    (google_service_account.scheduler.email) = distinct(concat(lookup(var.callers, google_service_account.scheduler.email, []), ["send"]))
  }))
}

# A Firestore database has no IAM policy of its own, so the role is granted on the project
# with a condition that limits it to this database.
resource "google_project_iam_member" "datastore" {
  for_each = local.members

  project = var.project_id
  role    = "roles/datastore.user"
  member  = each.value

  condition {
    title       = "${var.prefix}-database"
    description = "Only Carillon's database"
    expression  = "resource.name == \"projects/${var.project_id}/databases/${google_firestore_database.this.name}\""
  }
}

# Sending is the only permission of FCM that Carillon needs.
resource "google_project_iam_custom_role" "sender" {
  project     = var.project_id
  role_id     = "${replace(var.prefix, "-", "_")}_sender"
  title       = "Carillon: send push messages"
  permissions = ["cloudmessaging.messages.create"]

  depends_on = [google_project_service.this]
}

locals {
  senders = {
    mailings = google_service_account.mailings.member # proves payloads
    deliver  = google_service_account.deliver.member  # sends
  }
}

resource "google_project_iam_member" "sender" {
  for_each = local.senders

  project = var.project_id
  role    = google_project_iam_custom_role.sender.name
  member  = each.value
}

# devices reads accounts with check_revoked, and needs no other permission of Firebase
# Auth. It verifies tokens without a role, because the certificates are public.
resource "google_project_iam_custom_role" "accounts" {
  count = local.asks_accounts ? 1 : 0

  project     = var.project_id
  role_id     = "${replace(var.prefix, "-", "_")}_accounts"
  title       = "Carillon: look accounts up"
  permissions = ["firebaseauth.users.get"]

  depends_on = [google_project_service.this]
}

resource "google_project_iam_member" "accounts" {
  count = local.asks_accounts ? 1 : 0

  project = var.project_id
  role    = google_project_iam_custom_role.accounts[0].name
  member  = google_service_account.devices[0].member
}

resource "google_pubsub_topic_iam_member" "publisher" {
  for_each = local.publications

  project = var.project_id
  topic   = local.topics[each.value.topic]
  role    = "roles/pubsub.publisher"
  member  = local.members[each.value.function]
}

# Pub/Sub signs the token of a push request as the delivery account. In a new project the
# account of Pub/Sub appears with the first topic.
resource "google_service_account_iam_member" "push_token" {
  service_account_id = google_service_account.delivery.name
  role               = "roles/iam.serviceAccountOpenIdTokenCreator"
  member             = local.pubsub_agent

  depends_on = [google_pubsub_topic.work]
}

resource "google_cloud_run_v2_service_iam_member" "delivery" {
  for_each = merge(
    { for lane, f in google_cloudfunctions2_function.deliver : lane => f.name },
    {
      dispatch = google_cloudfunctions2_function.dispatch.name
      tick     = google_cloudfunctions2_function.tick.name
    },
  )

  project  = var.project_id
  location = var.region
  name     = each.value
  role     = "roles/run.invoker"
  member   = google_service_account.delivery.member

  lifecycle {
    replace_triggered_by = [google_cloudfunctions2_function.deliver["deliver"].id, google_cloudfunctions2_function.deliver["deliver-small"].id, google_cloudfunctions2_function.deliver["messages"].id, google_cloudfunctions2_function.dispatch.id, google_cloudfunctions2_function.tick.id] # a new service has no grants
  }
}

# Pub/Sub needs both of these grants to move messages to the dead letters. Without one of
# them it does not move them, and reports no error.
resource "google_pubsub_topic_iam_member" "dead_letter" {
  for_each = local.workers

  project = var.project_id
  topic   = google_pubsub_topic.dead[each.key].name
  role    = "roles/pubsub.publisher"
  member  = local.pubsub_agent
}

resource "google_pubsub_subscription_iam_member" "dead_letter" {
  for_each = local.workers

  project      = var.project_id
  subscription = google_pubsub_subscription.work[each.key].name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}

resource "google_cloud_run_v2_service_iam_member" "invoker" {
  for_each = local.invocations

  project  = var.project_id
  location = var.region
  name = {
    mailings  = google_cloudfunctions2_function.mailings.name
    customers = google_cloudfunctions2_function.customers.name
  }[each.value.function]
  role   = "roles/run.invoker"
  member = each.value.member

  lifecycle {
    replace_triggered_by = [google_cloudfunctions2_function.mailings.id, google_cloudfunctions2_function.customers.id] # a new service has no grants
  }
}

resource "google_cloud_run_v2_service_iam_member" "token_check" {
  count = var.token_check.enabled ? 1 : 0

  project  = var.project_id
  location = var.region
  name     = google_cloudfunctions2_function.mailings.name
  role     = "roles/run.invoker"
  member   = google_service_account.scheduler.member

  lifecycle {
    replace_triggered_by = [google_cloudfunctions2_function.mailings.id] # a new service has no grants
  }
}

resource "google_cloud_run_v2_service_iam_member" "public" {
  count = var.devices.enabled ? 1 : 0

  project  = var.project_id
  location = var.region
  name     = google_cloudfunctions2_function.devices[0].name
  role     = "roles/run.invoker"
  member   = "allUsers"

  lifecycle {
    replace_triggered_by = [google_cloudfunctions2_function.devices[0].id] # a new service has no grants
  }
}

# A build writes its log, reads the upload, and stores the image.
resource "google_project_iam_member" "build_logs" {
  project = var.project_id
  role    = "roles/logging.logWriter"
  member  = google_service_account.build.member
}

resource "google_storage_bucket_iam_member" "build" {
  bucket = google_storage_bucket.source.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.build.member
}

# Cloud Run functions copies an upload to a bucket of its own before the build. It makes
# that bucket at the first deployment, so the role cannot be granted on the bucket.
resource "google_project_iam_member" "build_sources" {
  project = var.project_id
  role    = "roles/storage.objectViewer"
  member  = google_service_account.build.member

  condition {
    title       = "${var.prefix}-sources"
    description = "Only the bucket in which Cloud Run functions keeps uploads"
    expression  = "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-${data.google_project.this.number}-\")"
  }
}

resource "google_artifact_registry_repository_iam_member" "build" {
  project    = var.project_id
  location   = var.region
  repository = google_artifact_registry_repository.images.name
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.build.member
}
