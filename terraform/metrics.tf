# Metrics that Cloud Logging makes from the structured log lines of the functions.

locals {
  metric_prefix = replace(var.prefix, "-", "_")

  delivers = "(deliver(-small)?|messages)" # the services that run deliver

  # The log lines that metrics count: the function that writes the line, and its message.
  lines = {
    batch_call_ended   = { function = local.delivers, message = "batch call ended" }
    batch_given_up     = { function = local.delivers, message = "batch given up" }
    targets_given_up   = { function = local.delivers, message = "targets given up" }
    breaker_open       = { function = local.delivers, message = "breaker open" }
    dead_letter        = { function = local.delivers, message = "dead letter" }
    platform_paused    = { function = local.delivers, message = "platform paused" }
    message_call_ended = { function = local.delivers, message = "message call ended" }
    message_given_up   = { function = local.delivers, message = "message given up" }
    message_waits      = { function = local.delivers, message = "message waits" }
    tick_done          = { function = "tick", message = "tick done" }
    rosters_read       = { function = "dispatch", message = "rosters read" }
  }
  line = {
    for k, l in local.lines : k => join(" AND ", [
      "resource.type=\"cloud_run_revision\"",
      "resource.labels.service_name=~\"^${var.prefix}-${l.function}$\"",
      "jsonPayload.message=\"${l.message}\"",
    ])
  }
  state_line = join(" AND ", [
    "resource.type=\"cloud_run_revision\"",
    "resource.labels.service_name=~\"^${var.prefix}-(mailings|dispatch|deliver|deliver-small|tick)$\"",
    "jsonPayload.message=\"mailing state\"",
  ])

  # What the Go runtime, functions-framework-go, shared/api and Cloud Run write when a
  # function panics or needs too much memory.
  crash_line = join(" AND ", [
    "resource.type=\"cloud_run_revision\"",
    "resource.labels.service_name=~\"^${var.prefix}-(${join("|", sort(tolist(local.running)))})$\"",
    "(textPayload=~\"^(panic: |fatal error: |http: panic serving |A panic occurred during )\" OR textPayload=~\"^Memory limit of .* exceeded\" OR jsonPayload.message=\"a handler panicked\")",
  ])

  # A batch is counted once, when it is settled: that line has the sums of all its
  # attempts. A message to one customer is counted in the same way.
  results = toset(["accepted", "invalid", "refused", "failed", "expired", "cancelled"])

  counters = {
    batches_waiting = {
      filter      = "${local.line["batch_call_ended"]} AND jsonPayload.settled=false"
      description = "Calls for a batch after which some of its targets or flags still wait"
      labels      = {}
    }
    given_up = {
      filter      = "(${local.line["batch_given_up"]}) OR (${local.line["targets_given_up"]}) OR (${local.line["message_given_up"]})"
      description = "Batches and messages that were closed, in whole or in part, because their calls failed or crashed several times"
      labels      = {}
    }
    breaker_open = {
      filter      = local.line["breaker_open"]
      description = "Calls for a batch with a share of INVALID_ARGUMENT above invalid_share"
      labels      = {}
    }
    dead_letters = {
      filter      = local.line["dead_letter"]
      description = "Dead letters of batches that deliver got: Pub/Sub gave their messages up after too many deliveries"
      labels      = {}
    }
    platforms_paused = {
      filter      = local.line["platform_paused"]
      description = "Platforms of a mailing that wait because their push service refuses the app's credentials"
      labels      = {}
    }
    messages_waiting = {
      filter      = local.line["message_waits"]
      description = "Attempts at a message to one customer that FCM refused because of our own credentials"
      labels      = {}
    }
    ticks = {
      filter      = local.line["tick_done"]
      description = "Finished rounds of tick"
      labels      = {}
    }
    crashes = {
      filter      = local.crash_line
      description = "Panics, and instances that used more memory than their function has"
      labels      = {}
    }
    mailing_states = {
      filter      = local.state_line
      description = "Changes of a mailing's state"
      labels      = { to = "EXTRACT(jsonPayload.to)" }
    }
    mailings_paused = {
      filter      = "${local.state_line} AND severity=ERROR"
      description = "Mailings that Carillon paused: FCM refused our own credentials, or said of too many tokens that they are invalid or belong to another sender; pauses by hand are not counted"
      labels      = {}
    }
  }
}

resource "google_logging_metric" "result" {
  for_each = local.results

  project         = var.project_id
  name            = "${local.metric_prefix}_${each.key}"
  description     = "Tokens of settled batches and messages that ended as ${each.key}"
  filter          = "((${local.line["batch_call_ended"]}) OR (${local.line["message_call_ended"]})) AND jsonPayload.settled=true"
  value_extractor = "EXTRACT(jsonPayload.${each.key})"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "DISTRIBUTION"
    unit        = "1"
  }

  bucket_options {
    linear_buckets { # a batch has at most 1,000 targets
      offset             = 0
      width              = 100
      num_finite_buckets = 10
    }
  }

  depends_on = [google_project_service.this]
}

# How long something took. The key is the end of the metric's name.
locals {
  durations = {
    batch = {
      filter      = local.line["batch_call_ended"]
      field       = "milliseconds"
      description = "How long an attempt at a batch took"
    }
    message_age = {
      filter      = "${local.line["message_call_ended"]} AND jsonPayload.settled=true AND jsonPayload.age_milliseconds>=0"
      field       = "age_milliseconds"
      description = "Time from the acceptance of a message to one customer to its result"
    }
    mailing_late = {
      filter      = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${var.prefix}-dispatch\" AND jsonPayload.message=\"mailing state\" AND jsonPayload.to=\"sending\" AND jsonPayload.late_milliseconds>=0"
      field       = "late_milliseconds"
      description = "Time from the sendAt or the acceptance of a mailing to its start, or from its resume"
    }
  }
}

resource "google_logging_metric" "duration" {
  for_each = local.durations

  project         = var.project_id
  name            = "${local.metric_prefix}_${each.key}_milliseconds"
  description     = each.value.description
  filter          = each.value.filter
  value_extractor = "EXTRACT(jsonPayload.${each.value.field})"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "DISTRIBUTION"
    unit        = "ms"
  }

  bucket_options {
    exponential_buckets {
      scale              = 10
      growth_factor      = 2
      num_finite_buckets = 20
    }
  }

  depends_on = [google_project_service.this]
}

# What audiences from rosters cost. dispatch writes the line for each call that has read
# rosters. The key is the end of the metric's name.
locals {
  rosters = {
    customers = {
      field       = "customers"
      description = "Customers whom calls of dispatch read that used rosters"
    }
    documents_read = {
      field       = "rosters"
      description = "Documents of rosters that dispatch read"
    }
    changes_read = {
      field       = "changes"
      description = "Customers whom dispatch read because they had changed since their roster was stored"
    }
    customers_read = {
      field       = "customers_read"
      description = "Customers whom dispatch read to make rosters"
    }
    documents_written = {
      field       = "rosters_written"
      description = "Documents of rosters that dispatch wrote"
    }
  }
}

resource "google_logging_metric" "roster" {
  for_each = local.rosters

  project         = var.project_id
  name            = "${local.metric_prefix}_roster_${each.key}"
  description     = each.value.description
  filter          = local.line["rosters_read"]
  value_extractor = "EXTRACT(jsonPayload.${each.value.field})"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "DISTRIBUTION"
    unit        = "1"
  }

  bucket_options {
    exponential_buckets { # a call reads up to millions of customers
      scale              = 1
      growth_factor      = 4
      num_finite_buckets = 12
    }
  }

  depends_on = [google_project_service.this]
}

# Cloud Scheduler writes a line of severity ERROR for a call that fails.
resource "google_logging_metric" "token_check_failed" {
  count = var.token_check.enabled ? 1 : 0

  project     = var.project_id
  name        = "${local.metric_prefix}_token_check_failed"
  description = "Failed calls of the job that checks tokens"
  filter      = "resource.type=\"cloud_scheduler_job\" AND resource.labels.job_id=\"${google_cloud_scheduler_job.token_check[0].name}\" AND severity>=ERROR"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
  }

  depends_on = [google_project_service.this]
}

resource "google_logging_metric" "counter" {
  for_each = local.counters

  project          = var.project_id
  name             = "${local.metric_prefix}_${each.key}"
  description      = each.value.description
  filter           = each.value.filter
  label_extractors = each.value.labels

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"

    dynamic "labels" {
      for_each = each.value.labels
      content {
        key        = labels.key
        value_type = "STRING"
      }
    }
  }

  depends_on = [google_project_service.this]
}
