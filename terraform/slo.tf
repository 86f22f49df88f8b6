# Service level objectives, and alerts on the rate at which their error budgets are used up.
# Both windows and rates are those of the chapter "Alerting on SLOs" of Google's SRE workbook:
# 2 % of the budget of 28 days in an hour, or 5 % in six hours.

locals {
  slo_window_days = 28

  burn_rates = {
    fast = { window = "3600s", rate = 14.4 }
    slow = { window = "21600s", rate = 6 }
  }

  # The functions that other systems and people wait for.
  slo_functions = var.slo == null ? [] : ["customers", "mailings"]
}

resource "google_monitoring_custom_service" "this" {
  count = var.slo != null ? 1 : 0

  project      = var.project_id
  service_id   = var.prefix
  display_name = "Carillon"
  user_labels  = local.labels

  depends_on = [google_project_service.this]
}

resource "google_monitoring_slo" "available" {
  for_each = toset(local.slo_functions)

  project             = var.project_id
  service             = google_monitoring_custom_service.this[0].service_id
  slo_id              = "${each.key}-available"
  display_name        = "${each.key} answers without 5xx"
  goal                = var.slo.available
  rolling_period_days = local.slo_window_days
  user_labels         = local.labels

  request_based_sli {
    good_total_ratio {
      total_service_filter = "${local.service_filters[each.key]} AND metric.type=\"run.googleapis.com/request_count\""
      bad_service_filter   = "${local.service_filters[each.key]} AND metric.type=\"run.googleapis.com/request_count\" AND metric.labels.response_code_class=\"5xx\""
    }
  }
}

locals {
  # Objectives on the share of a distribution that is below a limit.
  in_time = var.slo == null ? {} : {
    mailing-in-time = {
      goal     = var.slo.mailing_in_time
      limit_ms = var.slo.mailing_seconds * 1000
      metric   = google_logging_metric.duration["mailing_late"].name
      title    = "a mailing starts within ${var.slo.mailing_seconds} s of its time"
    }
    message-in-time = {
      goal     = var.slo.message_in_time
      limit_ms = var.slo.message_seconds * 1000
      metric   = google_logging_metric.duration["message_age"].name
      title    = "a message to one customer has its result within ${var.slo.message_seconds} s"
    }
  }
}

resource "google_monitoring_slo" "in_time" {
  for_each = local.in_time

  project             = var.project_id
  service             = google_monitoring_custom_service.this[0].service_id
  slo_id              = each.key
  display_name        = each.value.title
  goal                = each.value.goal
  rolling_period_days = local.slo_window_days
  user_labels         = local.labels

  request_based_sli {
    distribution_cut {
      distribution_filter = "resource.type=\"cloud_run_revision\" AND metric.type=\"logging.googleapis.com/user/${each.value.metric}\""
      range {
        max = each.value.limit_ms
      }
    }
  }
}

locals {
  slos = merge(
    { for n, s in google_monitoring_slo.available : "${n}-available" => s },
    google_monitoring_slo.in_time,
  )
}

resource "google_monitoring_alert_policy" "error_budget" {
  for_each = toset(var.slo == null ? [] : concat([for n in local.slo_functions : "${n}-available"], ["mailing-in-time", "message-in-time"]))

  project               = var.project_id
  display_name          = "Carillon: the error budget of ${each.key} is used up too fast"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = local.channels
  user_labels           = local.labels

  dynamic "conditions" {
    for_each = local.burn_rates
    content {
      display_name = "${conditions.key}: ${conditions.value.rate} times the allowed rate"

      # The selector has its own aggregation.
      condition_threshold {
        filter          = "select_slo_burn_rate(\"${local.slos[each.key].id}\", \"${conditions.value.window}\")"
        comparison      = "COMPARISON_GT"
        threshold_value = conditions.value.rate
        duration        = "0s"
      }
    }
  }

  alert_strategy {
    auto_close = "3600s"
  }

  documentation {
    mime_type = "text/markdown"
    content   = file("${path.module}/../docs/runbooks/error-budget.md")
  }
}
