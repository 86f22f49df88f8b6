# Messages between the functions, and events for other systems. The module makes the push
# subscriptions itself, because the ack deadline, the back-off and the dead letters of an
# Eventarc trigger cannot be set.

locals {
  # Without push_config a subscription keeps its messages until somebody pulls them.
  pushed = var.stopped ? [] : [true]

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
  name    = "${var.topic_prefix}${each.key}"
  labels  = local.labels

  depends_on = [google_project_service.this]
}

resource "google_pubsub_topic" "dead" {
  for_each = local.workers

  project = var.project_id
  name    = "${var.topic_prefix}${each.key}-dead"
  labels  = local.labels

  depends_on = [google_project_service.this]
}

resource "google_pubsub_topic" "events" {
  project = var.project_id
  name    = "${var.topic_prefix}push-events"
  labels  = local.labels

  depends_on = [google_project_service.this]
}

resource "google_pubsub_subscription" "work" {
  for_each = local.workers

  project                    = var.project_id
  name                       = "${var.topic_prefix}${each.key}"
  topic                      = google_pubsub_topic.work[each.key].id
  ack_deadline_seconds       = var.functions[each.key].ack_deadline_seconds
  message_retention_duration = var.message_retention
  labels                     = local.labels

  # The ordering key of a message to one customer is its id. So Pub/Sub delivers only one
  # copy of it at a time, and two calls never send the same message at the same time.
  enable_message_ordering = each.key == "messages"

  dynamic "push_config" {
    for_each = local.pushed
    content {
      push_endpoint = local.worker_urls[each.key]
      oidc_token {
        service_account_email = google_service_account.delivery.email
        audience              = local.worker_urls[each.key]
      }
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

# A dead-letter topic without a subscription loses its messages. These subscriptions keep
# them for the operator.
resource "google_pubsub_subscription" "dead" {
  for_each = local.workers

  project                    = var.project_id
  name                       = "${var.topic_prefix}${each.key}-dead"
  topic                      = google_pubsub_topic.dead[each.key].id
  ack_deadline_seconds       = 60
  message_retention_duration = var.message_retention
  labels                     = local.labels

  expiration_policy {
    ttl = "" # never
  }
}

# deliver also receives its own dead letters: it gives the remaining targets of such a batch
# the result failed, so that the mailing can end. These subscriptions have no dead letters:
# Pub/Sub delivers until deliver acknowledges, as long as it keeps messages.
resource "google_pubsub_subscription" "given_up" {
  for_each = local.lanes

  project                    = var.project_id
  name                       = "${var.topic_prefix}${each.key}-dead-to-${each.key}"
  topic                      = google_pubsub_topic.dead[each.key].id
  ack_deadline_seconds       = var.functions[each.key].ack_deadline_seconds
  message_retention_duration = var.message_retention
  labels                     = local.labels

  dynamic "push_config" {
    for_each = local.pushed
    content {
      push_endpoint = local.worker_urls[each.key]
      oidc_token {
        service_account_email = google_service_account.delivery.email
        audience              = local.worker_urls[each.key]
      }
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
