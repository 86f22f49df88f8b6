# The worker that sends messages: one service for each lane. Only Pub/Sub can call it.

resource "google_service_account" "deliver" {
  project      = var.project_id
  account_id   = "${var.prefix}-deliver"
  display_name = "Carillon: sends batches to Firebase Cloud Messaging"

  depends_on = [google_project_service.this]
}

resource "google_cloudfunctions2_function" "deliver" {
  for_each = local.lanes

  project     = var.project_id
  location    = var.region
  name        = "${var.prefix}-${each.key}"
  description = "sends batches to Firebase Cloud Messaging"
  labels      = local.labels

  build_config {
    runtime           = "go126"
    entry_point       = "deliver"
    service_account   = google_service_account.build.id
    docker_repository = google_artifact_registry_repository.images.id

    environment_variables = local.build_environment

    source {
      storage_source {
        bucket = google_storage_bucket.source.name
        object = google_storage_bucket_object.source["deliver"].name
      }
    }
  }

  service_config {
    service_account_email            = google_service_account.deliver.email
    ingress_settings                 = "ALLOW_INTERNAL_ONLY"
    all_traffic_on_latest_revision   = true
    available_cpu                    = var.functions[each.key].cpu
    available_memory                 = var.functions[each.key].memory
    max_instance_request_concurrency = var.functions[each.key].concurrency
    min_instance_count               = var.functions[each.key].min_instances
    max_instance_count               = var.functions[each.key].max_instances
    timeout_seconds                  = var.functions[each.key].timeout_seconds

    environment_variables = merge(local.environment, {
      CALL_TIMEOUT         = "${var.functions[each.key].timeout_seconds}s"
      EVENTS_TOPIC         = google_pubsub_topic.events.name
      FCM_ENDPOINT         = var.fcm_endpoint
      PROOF_TOPIC          = var.proof_topic
      FCM_QUOTA_PER_MINUTE = var.fcm_quota_per_minute
      FIREBASE_PROJECTS    = local.app_projects
      FIREBASE_QUOTAS      = local.project_quotas
      MAX_INSTANCES        = local.send_rate.instances
      INVALID_SHARE        = var.invalid_share
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
      condition     = local.smallest_quota / local.send_rate.instances >= local.least_rate
      error_message = "FCM's quota of ${local.smallest_quota} a minute, divided among ${local.send_rate.instances} instances of deliver, must be at least ${local.least_rate} a minute for each. Lower max_instances of functions.deliver, deliver-small or messages, or ask Google for a higher quota and set fcm_quota_per_minute, or firebase_quotas, to it."
    }
  }
}

# The limiter of each instance, in every lane, starts at the same share of the project's
# quota. It keeps to that share until it knows what the other instances need.
locals {
  send_rate = {
    quota        = var.fcm_quota_per_minute
    instances    = local.most_instances
    per_instance = floor(var.fcm_quota_per_minute / local.most_instances)
  }

  most_instances = sum([for lane in local.lanes : var.functions[lane].max_instances])

  smallest_quota = min(concat([var.fcm_quota_per_minute], values(var.firebase_quotas))...)

  least_rate = 600                                                         # a minute: also the least ratePerMinute of a mailing
  most_rate  = 900000 * max(1, floor(tonumber(var.functions.deliver.cpu))) # a minute: 15,000 a second for each vCPU, as measured
}

# This is a warning and not an error: the only effect is that part of the quota is not
# used.
check "quota_can_be_used" {
  assert {
    condition     = local.send_rate.per_instance <= local.most_rate
    error_message = "An instance of deliver would have to send ${local.send_rate.per_instance} a minute to use all of FCM's quota, but it can send about ${local.most_rate}. Raise functions.deliver.max_instances or cpu."
  }
}
