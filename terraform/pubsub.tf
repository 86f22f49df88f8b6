# Orders between the functions, and events to the world. The push subscriptions
# are our own: an Eventarc trigger lets nobody set the ack deadline, the back-off
# or the dead letter.

locals {
  worker_urls = merge(
    { for lane, f in google_cloudfunctions2_function.deliver : lane => f.service_config[0].uri },
    {
      dispatch = google_cloudfunctions2_function.dispatch.service_config[0].uri
      tick     = google_cloudfunctions2_function.tick.service_config[0].uri
    },
  )
}

resource "google_pubsub_topic" "work" {
  for_each = local.workers

  project = var.project_id
  name    = each.key
  labels  = local.labels

  depends_on = [google_project_service.this]
}

resource "google_pubsub_topic" "dead" {
  for_each = local.workers

  project = var.project_id
  name    = "${each.key}-dead"
  labels  = local.labels

  depends_on = [google_project_service.this]
}

resource "google_pubsub_topic" "events" {
  project = var.project_id
  name    = "push-events"
  labels  = local.labels

  depends_on = [google_project_service.this]
}

resource "google_pubsub_subscription" "work" {
  for_each = local.workers

  project                    = var.project_id
  name                       = each.key
  topic                      = google_pubsub_topic.work[each.key].id
  ack_deadline_seconds       = var.functions[each.key].ack_deadline_seconds
  message_retention_duration = var.message_retention
  labels                     = local.labels

  # The ordering key of a message to one customer is its id: Pub/Sub has only one copy
  # of it under way at a time, so two copies never send side by side.
  enable_message_ordering = each.key == "messages"

  push_config {
    push_endpoint = local.worker_urls[each.key]
    oidc_token {
      service_account_email = google_service_account.delivery.email
      audience              = local.worker_urls[each.key]
    }
  }

  retry_policy {
    minimum_backoff = var.backoff.minimum
    maximum_backoff = var.backoff.maximum
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead[each.key].id
    max_delivery_attempts = var.functions[each.key].max_delivery_attempts
  }

  expiration_policy {
    ttl = "" # never
  }
}

# A dead-letter topic without a subscription loses its messages. These keep them
# for whoever looks into it.
resource "google_pubsub_subscription" "dead" {
  for_each = local.workers

  project                    = var.project_id
  name                       = "${each.key}-dead"
  topic                      = google_pubsub_topic.dead[each.key].id
  ack_deadline_seconds       = 60
  message_retention_duration = var.message_retention
  labels                     = local.labels

  expiration_policy {
    ttl = "" # never
  }
}

# Deliver hears of its own dead letters, too: it books what is left of such a
# batch as failed, so that the mailing can end. There is no dead letter behind
# this one: it is tried until it works, for as long as messages are kept.
resource "google_pubsub_subscription" "given_up" {
  for_each = local.lanes

  project                    = var.project_id
  name                       = "${each.key}-dead-to-${each.key}"
  topic                      = google_pubsub_topic.dead[each.key].id
  ack_deadline_seconds       = var.functions[each.key].ack_deadline_seconds
  message_retention_duration = var.message_retention
  labels                     = local.labels

  push_config {
    push_endpoint = local.worker_urls[each.key]
    oidc_token {
      service_account_email = google_service_account.delivery.email
      audience              = local.worker_urls[each.key]
    }
  }

  retry_policy {
    minimum_backoff = var.backoff.minimum
    maximum_backoff = var.backoff.maximum
  }

  expiration_policy {
    ttl = "" # never
  }
}
