# Alerts, each with its runbook from docs/runbooks, and the budget of the project.

resource "google_monitoring_notification_channel" "email" {
  for_each = var.alert_emails

  project      = var.project_id
  display_name = "Carillon: ${each.key}"
  type         = "email"
  labels       = { email_address = each.key }
  user_labels  = local.labels
  force_delete = true # else an address that alerts still name could not be removed

  depends_on = [google_project_service.this]
}

locals {
  channels = concat([for c in google_monitoring_notification_channel.email : c.name], tolist(var.notification_channels))

  counted = {
    for k in ["given_up", "breaker_open", "crashes", "mailings_paused", "messages_waiting", "platforms_paused", "ticks"] : k =>
    "resource.type=\"cloud_run_revision\" AND metric.type=\"logging.googleapis.com/user/${google_logging_metric.counter[k].name}\""
  }
  service_filters = {
    for n in local.running : n => "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${var.prefix}-${n}\""
  }
  all_services = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=monitoring.regex.full_match(\"${var.prefix}-(${join("|", sort(tolist(local.running)))})\")"

  # Conditions that more than one alert has: any line of a kind was counted, and the age of
  # the oldest message of a subscription is above a limit.
  any = {
    for k, filter in local.counted : k => {
      filter    = filter
      above     = 0
      aligner   = "ALIGN_DELTA"
      reducer   = "REDUCE_SUM"
      ratio_of  = null
      alignment = "60s"
    }
  }
  oldest = {
    for s in concat(values(google_pubsub_subscription.work), values(google_pubsub_subscription.given_up), google_pubsub_subscription.bigquery) : s.name => {
      filter    = "resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=\"${s.name}\" AND metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\""
      aligner   = "ALIGN_MAX"
      reducer   = "REDUCE_MAX"
      ratio_of  = null
      alignment = "60s"
    }
  }

  # Requests to FCM, as Google counts them for the project.
  fcm_requests = "resource.type=\"consumed_api\" AND resource.labels.service=\"fcm.googleapis.com\" AND metric.type=\"serviceruntime.googleapis.com/api/request_count\""

  at_maximum = {
    for n in local.running : n => {
      filter    = "${local.service_filters[n]} AND metric.type=\"run.googleapis.com/container/instance_count\" AND metric.labels.state=\"active\""
      above     = var.functions[n].max_instances - 1
      aligner   = "ALIGN_MAX"
      reducer   = "REDUCE_SUM"
      ratio_of  = null
      alignment = "60s"
    }
  }

  # Alerts on a value above a threshold. The key is the file name of the runbook.
  alerts = merge({
    dead-letters = {
      title    = "dead letters wait"
      severity = "ERROR"
      duration = "0s"
      conditions = {
        for n in local.workers : "a message waits in ${n}-dead" => {
          filter    = "resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=\"${google_pubsub_subscription.dead[n].name}\" AND metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\""
          above     = 0
          aligner   = "ALIGN_MAX"
          reducer   = "REDUCE_SUM"
          ratio_of  = null
          alignment = "60s"
        }
      }
    }
    oldest-message = {
      title    = "Pub/Sub messages wait too long"
      severity = "WARNING"
      duration = "0s"
      conditions = {
        for n in local.workers : "the oldest message of ${n} waits too long" => merge(local.oldest[google_pubsub_subscription.work[n].name], { above = n == "messages" ? var.alerts.oldest_single_seconds : var.alerts.oldest_message_seconds })
      }
    }
    error-share = {
      title    = "requests fail"
      severity = "ERROR"
      duration = "300s"
      conditions = {
        "too many requests are answered with 5xx" = {
          filter    = "${local.all_services} AND metric.type=\"run.googleapis.com/request_count\" AND metric.labels.response_code_class=\"5xx\""
          above     = var.alerts.error_share
          aligner   = "ALIGN_RATE"
          reducer   = "REDUCE_SUM"
          ratio_of  = "${local.all_services} AND metric.type=\"run.googleapis.com/request_count\""
          alignment = "300s"
        }
      }
    }
    batch-given-up = {
      title    = "a batch, some of its targets or a message was given up"
      severity = "ERROR"
      duration = "0s"
      conditions = {
        "calls crashed or failed several times, or a document cannot be read" = local.any["given_up"]
      }
    }
    breaker-open = {
      title    = "the breaker is open"
      severity = "ERROR"
      duration = "0s"
      conditions = {
        "the share of INVALID_ARGUMENT in a batch is above invalid_share" = local.any["breaker_open"]
      }
    }
    mailing-paused = {
      title    = "Carillon has paused a mailing"
      severity = "ERROR"
      duration = "0s"
      conditions = {
        "FCM refuses our own credentials, or said of too many tokens that they are invalid or belong to another sender" = local.any["mailings_paused"]
      }
    }
    ttl-late = {
      title    = "expired documents are deleted late"
      severity = "WARNING"
      duration = "0s"
      conditions = {
        "one in a hundred was deleted more than three days after it expired" = {
          filter    = "resource.type=\"firestore.googleapis.com/Database\" AND resource.labels.database_id=\"${google_firestore_database.this.name}\" AND metric.type=\"firestore.googleapis.com/document/ttl_expiration_to_deletion_delays\""
          above     = 259200
          aligner   = "ALIGN_PERCENTILE_99"
          reducer   = "REDUCE_MAX"
          ratio_of  = null
          alignment = "3600s"
        }
      }
    }
    message-waits = {
      title    = "messages to one customer wait"
      severity = "ERROR"
      duration = "0s"
      conditions = {
        "FCM refuses our own credentials" = local.any["messages_waiting"]
      }
    }
    platform-paused = {
      title    = "a platform of a mailing waits"
      severity = "ERROR"
      duration = "0s"
      conditions = {
        "Apple or a browser's push service refuses the app's credentials" = local.any["platforms_paused"]
      }
    }
    instances-at-maximum = {
      title    = "instances at their maximum"
      severity = "WARNING"
      duration = "600s"
      conditions = {
        for n in local.workers : "${n} runs max_instances instances" => local.at_maximum[n]
      }
    }
    instances-at-maximum-api = { # a policy of its own: Google takes at most six conditions in one
      title    = "instances of the API at their maximum"
      severity = "WARNING"
      duration = "600s"
      conditions = {
        for n in setsubtract(local.running, local.workers) : "${n} runs max_instances instances" => local.at_maximum[n]
      }
    }
    instance-crashed = {
      title    = "an instance crashed"
      severity = "ERROR"
      duration = "0s"
      conditions = {
        "a panic, or more memory than the function has" = local.any["crashes"]
      }
    }
    given-up-waits = {
      title    = "deliver does not take its dead letters"
      severity = "ERROR"
      duration = "0s"
      conditions = {
        for n in local.lanes : "the oldest message of ${n}-dead-to-${n} waits too long" => merge(local.oldest[google_pubsub_subscription.given_up[n].name], { above = var.alerts.oldest_message_seconds })
      }
    }
    fcm-quota = {
      title    = "FCM refuses messages because of a quota"
      severity = "WARNING"
      duration = "600s"
      conditions = {
        "too many requests are answered with 429" = {
          filter    = "${local.fcm_requests} AND metric.labels.response_code=\"429\""
          above     = var.alerts.fcm_quota_share
          aligner   = "ALIGN_RATE"
          reducer   = "REDUCE_SUM"
          ratio_of  = local.fcm_requests
          alignment = "300s"
        }
      }
    }
    }, !var.bigquery.enabled ? {} : {
    bigquery-wait = {
      title    = "events wait for BigQuery"
      severity = "WARNING"
      duration = "0s"
      conditions = {
        "the oldest event waits longer than an hour" = merge(local.oldest[google_pubsub_subscription.bigquery[0].name], { above = 3600 })
      }
    }
    }, !var.token_check.enabled ? {} : {
    token-check-failed = {
      title    = "the token check did not start"
      severity = "WARNING"
      duration = "0s"
      conditions = {
        "Cloud Scheduler could not hand the dry run in" = {
          filter    = "resource.type=\"cloud_scheduler_job\" AND metric.type=\"logging.googleapis.com/user/${google_logging_metric.token_check_failed[0].name}\""
          above     = 0
          aligner   = "ALIGN_DELTA"
          reducer   = "REDUCE_SUM"
          ratio_of  = null
          alignment = "60s"
        }
      }
    }
  })

  # The file in docs/runbooks, where its name is not the key of the alert.
  runbooks = { instances-at-maximum-api = "instances-at-maximum" }
}

resource "google_monitoring_alert_policy" "threshold" {
  for_each = local.alerts

  project               = var.project_id
  display_name          = "Carillon: ${each.value.title}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = local.channels
  user_labels           = local.labels

  dynamic "conditions" {
    for_each = each.value.conditions
    content {
      display_name = conditions.key

      condition_threshold {
        filter             = conditions.value.filter
        denominator_filter = conditions.value.ratio_of
        comparison         = "COMPARISON_GT"
        threshold_value    = conditions.value.above
        duration           = each.value.duration

        # A counter without lines has no data: then nothing is wrong any more. Google
        # takes this setting only with a duration.
        evaluation_missing_data = each.value.duration == "0s" ? null : "EVALUATION_MISSING_DATA_INACTIVE"

        aggregations {
          alignment_period     = conditions.value.alignment
          per_series_aligner   = conditions.value.aligner
          cross_series_reducer = conditions.value.reducer
          group_by_fields      = conditions.value.ratio_of == null ? [] : [conditions.value.ratio_of == local.fcm_requests ? "resource.label.service" : "resource.label.service_name"]
        }

        dynamic "denominator_aggregations" {
          for_each = conditions.value.ratio_of == null ? [] : [true]
          content {
            alignment_period     = conditions.value.alignment
            per_series_aligner   = conditions.value.aligner
            cross_series_reducer = conditions.value.reducer
            group_by_fields      = [conditions.value.ratio_of == local.fcm_requests ? "resource.label.service" : "resource.label.service_name"]
          }
        }
      }
    }
  }

  # Without data an incident would stay open for seven days, and a second event in that
  # time would not be announced.
  alert_strategy {
    auto_close = "3600s"
  }

  documentation {
    mime_type = "text/markdown"
    content   = file("${path.module}/../docs/runbooks/${lookup(local.runbooks, each.key, each.key)}.md")
  }
}

# tick writes a line each minute, so this alert looks for a missing line.
resource "google_monitoring_alert_policy" "tick_missing" {
  project               = var.project_id
  display_name          = "Carillon: tick is missing"
  combiner              = "OR"
  severity              = "CRITICAL"
  notification_channels = local.channels
  user_labels           = local.labels

  conditions {
    display_name = "tick has finished no round for five minutes"

    condition_absent {
      filter   = local.counted["ticks"]
      duration = "300s"

      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = file("${path.module}/../docs/runbooks/tick-missing.md")
  }
}

resource "google_billing_budget" "this" {
  count = var.budget != null ? 1 : 0

  billing_account = var.budget.billing_account
  display_name    = "Carillon in ${var.project_id}"

  budget_filter {
    projects = ["projects/${data.google_project.this.number}"]
  }

  amount {
    specified_amount {
      units         = var.budget.amount
      currency_code = var.budget.currency
    }
  }

  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1]
    content {
      threshold_percent = threshold_rules.value
    }
  }

  dynamic "all_updates_rule" {
    for_each = length(local.channels) > 0 ? [true] : []
    content {
      # A budget accepts at most five channels.
      monitoring_notification_channels = slice(local.channels, 0, min(5, length(local.channels)))
    }
  }

  depends_on = [google_project_service.this]
}
