# APIs, scheduled jobs, metrics, alerts, dashboard, budget, labels and outputs.

mock_provider "google" {
  source = "./tests/mocks"
}
mock_provider "archive" {
  source = "./tests/mocks"
}

variables {
  project_id  = "shop-push"
  region      = "europe-west1"
  source_root = "./tests/testdata/checkout"
}

run "apis" {
  assert {
    condition = toset([for s in google_project_service.this : s.service]) == toset([
      "artifactregistry.googleapis.com", "cloudbuild.googleapis.com", "cloudfunctions.googleapis.com", "cloudresourcemanager.googleapis.com",
      "cloudscheduler.googleapis.com", "fcm.googleapis.com", "firebaserules.googleapis.com", "firestore.googleapis.com", "iam.googleapis.com",
      "logging.googleapis.com", "monitoring.googleapis.com", "pubsub.googleapis.com", "run.googleapis.com", "storage.googleapis.com",
    ])
    error_message = "Exactly these APIs must be on."
  }
  assert {
    condition     = alltrue([for s in google_project_service.this : s.disable_on_destroy == false && s.project == "shop-push"])
    error_message = "Destroying Carillon must not switch off APIs that other software uses."
  }
}

run "clock" {
  assert {
    condition     = google_cloud_scheduler_job.tick.schedule == "* * * * *" && google_cloud_scheduler_job.tick.time_zone == "Etc/UTC" && google_cloud_scheduler_job.tick.pubsub_target[0].topic_name == "projects/shop-push/topics/tick" && google_cloud_scheduler_job.tick.region == "europe-west1" && google_cloud_scheduler_job.tick.name == "carillon-tick" && google_cloud_scheduler_job.tick.paused == false && google_cloud_scheduler_job.tick.project == "shop-push"
    error_message = "The job must publish to the topic tick each minute."
  }
  assert {
    condition     = can(jsondecode(base64decode(google_cloud_scheduler_job.tick.pubsub_target[0].data)))
    error_message = "Cloud Scheduler needs data in base64."
  }
  assert {
    condition     = length(google_cloud_scheduler_job.token_check) == 0
    error_message = "The token check must be off by default."
  }
}

run "token_check" {
  variables {
    scheduler_region = "europe-west3"
    token_check      = { enabled = true, schedule = "30 3 * * sun", time_zone = "Europe/Riga" }
    functions        = { mailings = { timeout_seconds = 45 } }
  }
  assert {
    condition = length(google_cloud_scheduler_job.token_check) == 1 && join(" ", [
      google_cloud_scheduler_job.token_check[0].project, google_cloud_scheduler_job.token_check[0].region, google_cloud_scheduler_job.token_check[0].name, google_cloud_scheduler_job.token_check[0].schedule, google_cloud_scheduler_job.token_check[0].time_zone,
      google_cloud_scheduler_job.token_check[0].attempt_deadline, google_cloud_scheduler_job.token_check[0].retry_config[0].retry_count, google_cloud_scheduler_job.tick.region,
    ]) == "shop-push europe-west3 carillon-token-check 30 3 * * sun Europe/Riga 45s 0 europe-west3"
    error_message = "The token check must run on its schedule, without retries."
  }
  assert {
    condition = join(" ", [
      google_cloud_scheduler_job.token_check[0].http_target[0].http_method, google_cloud_scheduler_job.token_check[0].http_target[0].uri, google_cloud_scheduler_job.token_check[0].http_target[0].headers["Content-Type"],
      google_cloud_scheduler_job.token_check[0].http_target[0].oidc_token[0].service_account_email, google_cloud_scheduler_job.token_check[0].http_target[0].oidc_token[0].audience,
    ]) == "POST https://mailings.run.app/v1/mailings application/json scheduler@shop-push.iam.gserviceaccount.com https://mailings.run.app"
    error_message = "The token check must create a mailing with the account of the scheduler."
  }
  assert {
    condition     = jsondecode(base64decode(google_cloud_scheduler_job.token_check[0].http_target[0].body)) == { message = { data = { token_check = "1" } }, audience = { everyone = true }, dryRun = true }
    error_message = "The token check must be a dry run to everyone."
  }
}

run "stopped" {
  variables {
    stopped     = true
    token_check = { enabled = true }
  }
  assert {
    condition     = google_cloud_scheduler_job.tick.paused == true && google_cloud_scheduler_job.token_check[0].paused == true
    error_message = "Stopped, no job may start anything."
  }
}

run "token_check_with_a_short_deadline" {
  variables {
    token_check = { enabled = true }
    functions   = { mailings = { timeout_seconds = 10 } }
  }
  assert {
    condition     = google_cloud_scheduler_job.token_check[0].attempt_deadline == "15s" && google_cloud_scheduler_job.token_check[0].schedule == "0 4 * * 2" && google_cloud_scheduler_job.token_check[0].time_zone == "Etc/UTC"
    error_message = "The deadline must be at least 15 s, and the default schedule Tuesday at 4:00."
  }
}

run "token_check_with_a_long_deadline" {
  variables {
    token_check = { enabled = true }
    functions   = { mailings = { timeout_seconds = 3600 } }
  }
  assert {
    condition     = google_cloud_scheduler_job.token_check[0].attempt_deadline == "1800s"
    error_message = "The deadline must be at most 30 minutes."
  }
}

run "metrics" {
  assert {
    condition = { for k, m in google_logging_metric.result : k => "${m.project} ${m.name} ${m.filter} ${m.value_extractor} ${m.metric_descriptor[0].metric_kind} ${m.metric_descriptor[0].value_type}" } == {
      for v in ["accepted", "invalid", "refused", "failed", "expired", "cancelled"] :
      v => "shop-push carillon_${v} ((resource.type=\"cloud_run_revision\" AND resource.labels.service_name=~\"^carillon-(deliver(-small)?|messages)$\" AND jsonPayload.message=\"batch call ended\") OR (resource.type=\"cloud_run_revision\" AND resource.labels.service_name=~\"^carillon-(deliver(-small)?|messages)$\" AND jsonPayload.message=\"message call ended\")) AND jsonPayload.settled=true EXTRACT(jsonPayload.${v}) DELTA DISTRIBUTION"
    }
    error_message = "There must be a metric for each result, from the line of a settled batch."
  }
  assert {
    condition     = "${google_logging_metric.duration["batch"].project} ${google_logging_metric.duration["batch"].name} ${google_logging_metric.duration["batch"].filter} ${google_logging_metric.duration["batch"].value_extractor} ${google_logging_metric.duration["batch"].metric_descriptor[0].metric_kind} ${google_logging_metric.duration["batch"].metric_descriptor[0].value_type}" == "shop-push carillon_batch_milliseconds resource.type=\"cloud_run_revision\" AND resource.labels.service_name=~\"^carillon-(deliver(-small)?|messages)$\" AND jsonPayload.message=\"batch call ended\" EXTRACT(jsonPayload.milliseconds) DELTA DISTRIBUTION"
    error_message = "There must be a metric of the time of an attempt at a batch."
  }
  assert {
    condition     = "${google_logging_metric.duration["message_age"].project} ${google_logging_metric.duration["message_age"].name} ${google_logging_metric.duration["message_age"].filter} ${google_logging_metric.duration["message_age"].value_extractor} ${google_logging_metric.duration["message_age"].metric_descriptor[0].metric_kind} ${google_logging_metric.duration["message_age"].metric_descriptor[0].value_type}" == "shop-push carillon_message_age_milliseconds resource.type=\"cloud_run_revision\" AND resource.labels.service_name=~\"^carillon-(deliver(-small)?|messages)$\" AND jsonPayload.message=\"message call ended\" AND jsonPayload.settled=true AND jsonPayload.age_milliseconds>=0 EXTRACT(jsonPayload.age_milliseconds) DELTA DISTRIBUTION"
    error_message = "There must be a metric of the time from a message's acceptance to its result."
  }
  assert {
    condition     = "${google_logging_metric.duration["mailing_late"].project} ${google_logging_metric.duration["mailing_late"].name} ${google_logging_metric.duration["mailing_late"].filter} ${google_logging_metric.duration["mailing_late"].value_extractor} ${google_logging_metric.duration["mailing_late"].metric_descriptor[0].metric_kind} ${google_logging_metric.duration["mailing_late"].metric_descriptor[0].value_type}" == "shop-push carillon_mailing_late_milliseconds resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"carillon-dispatch\" AND jsonPayload.message=\"mailing state\" AND jsonPayload.to=\"sending\" AND jsonPayload.late_milliseconds>=0 EXTRACT(jsonPayload.late_milliseconds) DELTA DISTRIBUTION"
    error_message = "There must be a metric of the time from a mailing's sendAt to its start. A mailing that is paused before it starts has not started."
  }
  assert {
    condition     = alltrue([for m in google_logging_metric.duration : m.metric_descriptor[0].unit == "ms" && m.bucket_options[0].exponential_buckets[0].num_finite_buckets == 20 && m.bucket_options[0].exponential_buckets[0].growth_factor == 2 && m.bucket_options[0].exponential_buckets[0].scale == 10])
    error_message = "Times must be counted in milliseconds, from 10 ms on, in buckets that double."
  }
  assert {
    condition     = alltrue([for m in google_logging_metric.result : m.metric_descriptor[0].unit == "1" && m.bucket_options[0].linear_buckets[0].num_finite_buckets == 10 && m.bucket_options[0].linear_buckets[0].width == 100 && m.bucket_options[0].linear_buckets[0].offset == 0])
    error_message = "Results must be counted in ten buckets of 100: a batch has up to 1,000 targets."
  }
  assert {
    condition = { for m in google_logging_metric.roster : m.name => "${m.project} ${m.filter} ${m.value_extractor} ${m.metric_descriptor[0].metric_kind} ${m.metric_descriptor[0].value_type}" } == {
      for name, field in { customers = "customers", documents_read = "rosters", changes_read = "changes", customers_read = "customers_read", documents_written = "rosters_written" } :
      "carillon_roster_${name}" => "shop-push resource.type=\"cloud_run_revision\" AND resource.labels.service_name=~\"^carillon-dispatch$\" AND jsonPayload.message=\"rosters read\" EXTRACT(jsonPayload.${field}) DELTA DISTRIBUTION"
    }
    error_message = "There must be a metric of each number that dispatch logs of rosters."
  }
  assert {
    condition     = alltrue([for m in google_logging_metric.roster : m.metric_descriptor[0].unit == "1" && m.bucket_options[0].exponential_buckets[0].num_finite_buckets == 12 && m.bucket_options[0].exponential_buckets[0].growth_factor == 4 && m.bucket_options[0].exponential_buckets[0].scale == 1])
    error_message = "Numbers of rosters must be counted in buckets up to 16 million: a call may read millions of customers."
  }
  assert {
    condition = { for k, m in google_logging_metric.counter : m.name => m.filter } == {
      carillon_batches_waiting  = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=~\"^carillon-(deliver(-small)?|messages)$\" AND jsonPayload.message=\"batch call ended\" AND jsonPayload.settled=false"
      carillon_given_up         = "(resource.type=\"cloud_run_revision\" AND resource.labels.service_name=~\"^carillon-(deliver(-small)?|messages)$\" AND jsonPayload.message=\"batch given up\") OR (resource.type=\"cloud_run_revision\" AND resource.labels.service_name=~\"^carillon-(deliver(-small)?|messages)$\" AND jsonPayload.message=\"targets given up\") OR (resource.type=\"cloud_run_revision\" AND resource.labels.service_name=~\"^carillon-(deliver(-small)?|messages)$\" AND jsonPayload.message=\"message given up\")"
      carillon_breaker_open     = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=~\"^carillon-(deliver(-small)?|messages)$\" AND jsonPayload.message=\"breaker open\""
      carillon_dead_letters     = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=~\"^carillon-(deliver(-small)?|messages)$\" AND jsonPayload.message=\"dead letter\""
      carillon_platforms_paused = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=~\"^carillon-(deliver(-small)?|messages)$\" AND jsonPayload.message=\"platform paused\""
      carillon_messages_waiting = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=~\"^carillon-(deliver(-small)?|messages)$\" AND jsonPayload.message=\"message waits\""
      carillon_ticks            = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=~\"^carillon-tick$\" AND jsonPayload.message=\"tick done\""
      carillon_crashes          = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=~\"^carillon-(customers|deliver|deliver-small|dispatch|mailings|messages|tick)$\" AND (textPayload=~\"^(panic: |fatal error: |http: panic serving |A panic occurred during )\" OR textPayload=~\"^Memory limit of .* exceeded\" OR jsonPayload.message=\"a handler panicked\")"
      carillon_mailing_states   = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=~\"^carillon-(mailings|dispatch|deliver|deliver-small|tick)$\" AND jsonPayload.message=\"mailing state\""
      carillon_mailings_paused  = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=~\"^carillon-(mailings|dispatch|deliver|deliver-small|tick)$\" AND jsonPayload.message=\"mailing state\" AND severity=ERROR"
    }
    error_message = "There must be a metric for each counted line."
  }
  assert {
    condition     = alltrue([for m in google_logging_metric.counter : m.project == "shop-push" && m.metric_descriptor[0].metric_kind == "DELTA" && m.metric_descriptor[0].value_type == "INT64"]) && google_logging_metric.counter["mailing_states"].label_extractors == tomap({ to = "EXTRACT(jsonPayload.to)" }) && one(google_logging_metric.counter["mailing_states"].metric_descriptor[0].labels).key == "to" && length(google_logging_metric.counter["ticks"].label_extractors) == 0
    error_message = "Counters must be of kind DELTA, and states must have a label for the new state."
  }
}

run "alerts" {
  variables {
    alert_emails          = ["ops@shop.example"]
    notification_channels = ["projects/shop-push/notificationChannels/2"]
    alerts                = { oldest_message_seconds = 700, oldest_single_seconds = 70, error_share = 0.1, fcm_quota_share = 0.2 }
    token_check           = { enabled = true }
    bigquery              = { enabled = true }
    cloud_run_vcpus       = 33
    functions             = { customers = { max_instances = 33 } }
  }
  assert {
    condition = { for k, p in google_monitoring_alert_policy.threshold : k => toset([for c in p.conditions : join(" | ", [c.condition_threshold[0].filter, c.condition_threshold[0].comparison, c.condition_threshold[0].threshold_value, c.condition_threshold[0].duration, c.condition_threshold[0].aggregations[0].per_series_aligner, c.condition_threshold[0].aggregations[0].cross_series_reducer, c.condition_threshold[0].aggregations[0].alignment_period])]) } == {
      dead-letters = toset([for n in ["dispatch", "deliver", "deliver-small", "messages", "tick"] :
        "resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=\"${n}-dead\" AND metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" | COMPARISON_GT | 0 | 0s | ALIGN_MAX | REDUCE_SUM | 60s"
      ])
      oldest-message = toset([for n in ["dispatch", "deliver", "deliver-small", "messages", "tick"] :
        "resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=\"${n}\" AND metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" | COMPARISON_GT | ${n == "messages" ? 70 : 700} | 0s | ALIGN_MAX | REDUCE_MAX | 60s"
      ])
      error-share = toset([
        "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=monitoring.regex.full_match(\"carillon-(customers|deliver|deliver-small|dispatch|mailings|messages|tick)\") AND metric.type=\"run.googleapis.com/request_count\" AND metric.labels.response_code_class=\"5xx\" | COMPARISON_GT | 0.1 | 300s | ALIGN_RATE | REDUCE_SUM | 300s"
      ])
      batch-given-up   = toset(["resource.type=\"cloud_run_revision\" AND metric.type=\"logging.googleapis.com/user/carillon_given_up\" | COMPARISON_GT | 0 | 0s | ALIGN_DELTA | REDUCE_SUM | 60s"])
      breaker-open     = toset(["resource.type=\"cloud_run_revision\" AND metric.type=\"logging.googleapis.com/user/carillon_breaker_open\" | COMPARISON_GT | 0 | 0s | ALIGN_DELTA | REDUCE_SUM | 60s"])
      mailing-paused   = toset(["resource.type=\"cloud_run_revision\" AND metric.type=\"logging.googleapis.com/user/carillon_mailings_paused\" | COMPARISON_GT | 0 | 0s | ALIGN_DELTA | REDUCE_SUM | 60s"])
      ttl-late         = toset(["resource.type=\"firestore.googleapis.com/Database\" AND resource.labels.database_id=\"carillon\" AND metric.type=\"firestore.googleapis.com/document/ttl_expiration_to_deletion_delays\" | COMPARISON_GT | 259200 | 0s | ALIGN_PERCENTILE_99 | REDUCE_MAX | 3600s"])
      message-waits    = toset(["resource.type=\"cloud_run_revision\" AND metric.type=\"logging.googleapis.com/user/carillon_messages_waiting\" | COMPARISON_GT | 0 | 0s | ALIGN_DELTA | REDUCE_SUM | 60s"])
      platform-paused  = toset(["resource.type=\"cloud_run_revision\" AND metric.type=\"logging.googleapis.com/user/carillon_platforms_paused\" | COMPARISON_GT | 0 | 0s | ALIGN_DELTA | REDUCE_SUM | 60s"])
      instance-crashed = toset(["resource.type=\"cloud_run_revision\" AND metric.type=\"logging.googleapis.com/user/carillon_crashes\" | COMPARISON_GT | 0 | 0s | ALIGN_DELTA | REDUCE_SUM | 60s"])
      given-up-waits = toset([for n in ["deliver", "deliver-small", "messages"] :
        "resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=\"${n}-dead-to-${n}\" AND metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" | COMPARISON_GT | 700 | 0s | ALIGN_MAX | REDUCE_MAX | 60s"
      ])
      fcm-quota          = toset(["resource.type=\"consumed_api\" AND resource.labels.service=\"fcm.googleapis.com\" AND metric.type=\"serviceruntime.googleapis.com/api/request_count\" AND metric.labels.response_code=\"429\" | COMPARISON_GT | 0.2 | 600s | ALIGN_RATE | REDUCE_SUM | 300s"])
      bigquery-wait      = toset(["resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=\"push-events-to-bigquery\" AND metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" | COMPARISON_GT | 3600 | 0s | ALIGN_MAX | REDUCE_MAX | 60s"])
      token-check-failed = toset(["resource.type=\"cloud_scheduler_job\" AND metric.type=\"logging.googleapis.com/user/carillon_token_check_failed\" | COMPARISON_GT | 0 | 0s | ALIGN_DELTA | REDUCE_SUM | 60s"])
      instances-at-maximum-api = toset([for n, m in { mailings = 9, customers = 32 } :
        "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"carillon-${n}\" AND metric.type=\"run.googleapis.com/container/instance_count\" AND metric.labels.state=\"active\" | COMPARISON_GT | ${m} | 600s | ALIGN_MAX | REDUCE_SUM | 60s"
      ])
      instances-at-maximum = toset([for n, m in { dispatch = 9, deliver = 9, deliver-small = 1, messages = 1, tick = 1 } :
        "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"carillon-${n}\" AND metric.type=\"run.googleapis.com/container/instance_count\" AND metric.labels.state=\"active\" | COMPARISON_GT | ${m} | 600s | ALIGN_MAX | REDUCE_SUM | 60s"
      ])
    }
    error_message = "The conditions of an alert are wrong."
  }
  assert {
    condition = (
      google_monitoring_alert_policy.threshold["error-share"].conditions[0].condition_threshold[0].denominator_filter == "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=monitoring.regex.full_match(\"carillon-(customers|deliver|deliver-small|dispatch|mailings|messages|tick)\") AND metric.type=\"run.googleapis.com/request_count\"" &&
      google_monitoring_alert_policy.threshold["error-share"].conditions[0].condition_threshold[0].aggregations[0].group_by_fields == tolist(["resource.label.service_name"]) &&
      google_monitoring_alert_policy.threshold["error-share"].conditions[0].condition_threshold[0].denominator_aggregations[0].group_by_fields == tolist(["resource.label.service_name"]) &&
      google_monitoring_alert_policy.threshold["error-share"].conditions[0].condition_threshold[0].denominator_aggregations[0].per_series_aligner == "ALIGN_RATE" &&
      google_monitoring_alert_policy.threshold["error-share"].conditions[0].condition_threshold[0].denominator_aggregations[0].cross_series_reducer == "REDUCE_SUM" &&
      google_monitoring_alert_policy.threshold["error-share"].conditions[0].condition_threshold[0].denominator_aggregations[0].alignment_period == "300s"
    )
    error_message = "The share of errors must be that of all requests of a service."
  }
  assert {
    condition = (
      google_monitoring_alert_policy.threshold["fcm-quota"].conditions[0].condition_threshold[0].denominator_filter == "resource.type=\"consumed_api\" AND resource.labels.service=\"fcm.googleapis.com\" AND metric.type=\"serviceruntime.googleapis.com/api/request_count\"" &&
      google_monitoring_alert_policy.threshold["fcm-quota"].conditions[0].condition_threshold[0].aggregations[0].group_by_fields == tolist(["resource.label.service"]) &&
      google_monitoring_alert_policy.threshold["fcm-quota"].conditions[0].condition_threshold[0].denominator_aggregations[0].group_by_fields == tolist(["resource.label.service"])
    )
    error_message = "The share of 429 must be that of all requests to FCM."
  }
  assert {
    condition     = google_logging_metric.token_check_failed[0].filter == "resource.type=\"cloud_scheduler_job\" AND resource.labels.job_id=\"carillon-token-check\" AND severity>=ERROR"
    error_message = "Failed calls of the job of the token check must be counted."
  }
  assert {
    condition = join(" | ", [
      google_monitoring_alert_policy.tick_missing.conditions[0].condition_absent[0].filter, google_monitoring_alert_policy.tick_missing.conditions[0].condition_absent[0].duration,
      google_monitoring_alert_policy.tick_missing.conditions[0].condition_absent[0].aggregations[0].per_series_aligner, google_monitoring_alert_policy.tick_missing.conditions[0].condition_absent[0].aggregations[0].cross_series_reducer,
      google_monitoring_alert_policy.tick_missing.conditions[0].condition_absent[0].aggregations[0].alignment_period,
    ]) == "resource.type=\"cloud_run_revision\" AND metric.type=\"logging.googleapis.com/user/carillon_ticks\" | 300s | ALIGN_DELTA | REDUCE_SUM | 60s"
    error_message = "Five minutes without tick must raise an alert."
  }
  assert {
    condition     = { for k, p in merge(google_monitoring_alert_policy.threshold, { tick-missing = google_monitoring_alert_policy.tick_missing }) : k => p.documentation[0].content } == merge({ for k in ["dead-letters", "oldest-message", "error-share", "batch-given-up", "breaker-open", "mailing-paused", "message-waits", "ttl-late", "platform-paused", "instances-at-maximum", "instance-crashed", "given-up-waits", "fcm-quota", "bigquery-wait", "token-check-failed", "tick-missing"] : k => file("../docs/runbooks/${k}.md") }, { instances-at-maximum-api = file("../docs/runbooks/instances-at-maximum.md") })
    error_message = "Every alert must contain its runbook."
  }
  assert {
    condition     = alltrue([for p in concat(values(google_monitoring_alert_policy.threshold), [google_monitoring_alert_policy.tick_missing]) : toset(p.notification_channels) == toset(["projects/shop-push/notificationChannels/1", "projects/shop-push/notificationChannels/2"]) && p.combiner == "OR" && p.documentation[0].mime_type == "text/markdown" && p.project == "shop-push"])
    error_message = "Every alert must use all notification channels."
  }
  assert {
    condition     = { for k, p in merge(google_monitoring_alert_policy.threshold, { tick-missing = google_monitoring_alert_policy.tick_missing }) : k => p.severity } == { dead-letters = "ERROR", oldest-message = "WARNING", error-share = "ERROR", batch-given-up = "ERROR", breaker-open = "ERROR", mailing-paused = "ERROR", message-waits = "ERROR", ttl-late = "WARNING", platform-paused = "ERROR", instances-at-maximum = "WARNING", instances-at-maximum-api = "WARNING", instance-crashed = "ERROR", given-up-waits = "ERROR", fcm-quota = "WARNING", bigquery-wait = "WARNING", token-check-failed = "WARNING", tick-missing = "CRITICAL" }
    error_message = "The severities of alerts are wrong."
  }
  assert {
    condition     = google_monitoring_notification_channel.email["ops@shop.example"].type == "email" && google_monitoring_notification_channel.email["ops@shop.example"].labels["email_address"] == "ops@shop.example"
    error_message = "Alerts must be sent by e-mail."
  }
}

# cost_test.go reads the number below: each condition has a price.
run "conditions_by_default" {
  assert {
    condition     = sum([for p in concat(values(google_monitoring_alert_policy.threshold), [google_monitoring_alert_policy.tick_missing], values(google_monitoring_alert_policy.error_budget)) : length(p.conditions)]) == 38
    error_message = "The table of costs has another number of conditions."
  }
}

run "six_conditions" {
  variables {
    devices     = { enabled = true }
    console     = { enabled = true, identity = "proxy", look = ["@shop.example"] }
    token_check = { enabled = true }
    bigquery    = { enabled = true }
    source_root = "./tests/testdata/with-devices"
  }
  expect_failures = [check.devices_is_public]
  assert {
    condition     = alltrue([for p in google_monitoring_alert_policy.threshold : length(p.conditions) <= 6])
    error_message = "Cloud Monitoring takes at most six conditions in a policy."
  }
}

run "objectives" {
  variables {
    alert_emails = ["ops@shop.example"]
    slo          = { available = 0.995, message_seconds = 30, mailing_in_time = 0.97, mailing_seconds = 90 }
  }
  assert {
    condition = { for k, s in google_monitoring_slo.available : k => "${s.goal} | ${s.rolling_period_days} | ${s.request_based_sli[0].good_total_ratio[0].total_service_filter} | ${s.request_based_sli[0].good_total_ratio[0].bad_service_filter}" } == {
      for n in ["customers", "mailings"] : n => "0.995 | 28 | resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"carillon-${n}\" AND metric.type=\"run.googleapis.com/request_count\" | resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"carillon-${n}\" AND metric.type=\"run.googleapis.com/request_count\" AND metric.labels.response_code_class=\"5xx\""
    }
    error_message = "The objectives of the API are wrong."
  }
  assert {
    condition = { for k, s in google_monitoring_slo.in_time : k => "${s.goal} | ${s.rolling_period_days} | ${s.request_based_sli[0].distribution_cut[0].range[0].max} | ${s.request_based_sli[0].distribution_cut[0].distribution_filter}" } == {
      message-in-time = "0.99 | 28 | 30000 | resource.type=\"cloud_run_revision\" AND metric.type=\"logging.googleapis.com/user/carillon_message_age_milliseconds\""
      mailing-in-time = "0.97 | 28 | 90000 | resource.type=\"cloud_run_revision\" AND metric.type=\"logging.googleapis.com/user/carillon_mailing_late_milliseconds\""
    }
    error_message = "The objectives of messages and of mailings are wrong."
  }
  assert {
    condition = { for k, p in google_monitoring_alert_policy.error_budget : k => toset([for c in p.conditions : "${c.condition_threshold[0].filter} ${c.condition_threshold[0].comparison} ${c.condition_threshold[0].threshold_value} ${c.condition_threshold[0].duration}"]) } == {
      for k, id in {
        customers-available = google_monitoring_slo.available["customers"].id
        mailings-available  = google_monitoring_slo.available["mailings"].id
        mailing-in-time     = google_monitoring_slo.in_time["mailing-in-time"].id
        message-in-time     = google_monitoring_slo.in_time["message-in-time"].id
      } : k => toset(["select_slo_burn_rate(\"${id}\", \"3600s\") COMPARISON_GT 14.4 0s", "select_slo_burn_rate(\"${id}\", \"21600s\") COMPARISON_GT 6 0s"])
    }
    error_message = "Each objective must have alerts on its burn rate in an hour and in six hours."
  }
  assert {
    condition     = alltrue([for p in google_monitoring_alert_policy.error_budget : toset(p.notification_channels) == toset([google_monitoring_notification_channel.email["ops@shop.example"].name]) && p.documentation[0].content == file("../docs/runbooks/error-budget.md") && p.alert_strategy[0].auto_close == "3600s" && p.severity == "ERROR"])
    error_message = "The alerts of the objectives must use all channels, contain their runbook and close."
  }
}

run "no_objectives" {
  variables {
    slo = null
  }
  assert {
    condition     = length(google_monitoring_slo.available) + length(google_monitoring_slo.in_time) + length(google_monitoring_custom_service.this) + length(google_monitoring_alert_policy.error_budget) == 0
    error_message = "Without objectives there must be none of their resources."
  }
}

run "objective_that_cannot_be_met" {
  command = plan
  variables {
    slo = { available = 1 }
  }
  expect_failures = [var.slo]
}

run "alert_thresholds" {
  assert {
    condition     = toset([for c in google_monitoring_alert_policy.threshold["oldest-message"].conditions : c.condition_threshold[0].threshold_value]) == toset([900, 120]) && google_monitoring_alert_policy.threshold["error-share"].conditions[0].condition_threshold[0].threshold_value == 0.05
    error_message = "The default thresholds of alerts are wrong."
  }
}

run "incidents_end" {
  variables {
    alert_emails = ["ops@shop.example"]
  }
  assert {
    condition     = alltrue([for p in google_monitoring_alert_policy.threshold : p.alert_strategy[0].auto_close == "3600s"])
    error_message = "An incident without data must end after an hour."
  }
  assert {
    condition     = length(google_monitoring_alert_policy.tick_missing.alert_strategy) == 0
    error_message = "Missing data is what the alert of tick is about: its incident must stay open."
  }
  assert {
    condition = alltrue(flatten([for p in google_monitoring_alert_policy.threshold : [
      for c in p.conditions : c.condition_threshold[0].duration == "0s" || c.condition_threshold[0].evaluation_missing_data == "EVALUATION_MISSING_DATA_INACTIVE"
    ]]))
    error_message = "A condition with a duration must end when no more data comes."
  }
  assert {
    condition     = alltrue([for c in google_monitoring_notification_channel.email : c.force_delete])
    error_message = "An address must be removable while alerts name it."
  }
}

run "dashboard" {
  assert {
    condition = [for t in jsondecode(google_monitoring_dashboard.this.dashboard_json).mosaicLayout.tiles : t.widget.title] == [
      "Mailings by the state they went to", "Start of mailings after their time, milliseconds", "Results, tokens a minute", "Rate against FCM's quota, a minute", "Age of the oldest message, seconds",
      "Time of an attempt at a batch, ms", "Messages to one customer: a minute, and milliseconds to the result", "Retries, failures and dead letters", "Requests answered with 5xx, a minute", "Instances",
      "Cost: billed instance seconds a second", "Cost: Firestore documents a minute", "Customers from rosters, and their Firestore documents, a minute", "Cost: Pub/Sub bytes a minute", "Cost: log bytes a minute",
    ]
    error_message = "The titles of the dashboard are wrong."
  }
  assert {
    condition     = length(toset([for t in jsondecode(google_monitoring_dashboard.this.dashboard_json).mosaicLayout.tiles : "${try(t.xPos, 0)} ${try(t.yPos, 0)}"])) == 15 && alltrue([for t in jsondecode(google_monitoring_dashboard.this.dashboard_json).mosaicLayout.tiles : try(t.xPos, 0) + t.width <= 12 && try(t.xPos, 0) % t.width == 0 && try(t.yPos, 0) % t.height == 0])
    error_message = "Tiles of the dashboard overlap."
  }
  assert {
    condition     = !anytrue([for t in jsondecode(google_monitoring_dashboard.this.dashboard_json).mosaicLayout.tiles : try(t.xPos, 1) == 0 || try(t.yPos, 1) == 0])
    error_message = "The API leaves positions of 0 out, so each plan would show a change."
  }
  assert {
    condition = length(setsubtract(
      toset(flatten([for q in regexall("user_([a-z_]+?)(?:_sum|_bucket|_count)?[{]", google_monitoring_dashboard.this.dashboard_json) : q])),
      toset(concat([for m in google_logging_metric.result : m.name], [for m in google_logging_metric.counter : m.name], [for m in google_logging_metric.duration : m.name], [for m in google_logging_metric.roster : m.name])),
    )) == 0
    error_message = "The dashboard uses a metric that does not exist."
  }
  assert {
    condition     = strcontains(google_monitoring_dashboard.this.dashboard_json, "vector(600000)") && strcontains(google_monitoring_dashboard.this.dashboard_json, "carillon-(customers|deliver|deliver-small|dispatch|mailings|messages|tick)") && strcontains(google_monitoring_dashboard.this.dashboard_json, "subscription_id=~\\\"(deliver|deliver-small|dispatch|messages|tick)-dead\\\"") && jsondecode(google_monitoring_dashboard.this.dashboard_json).displayName == "Carillon" && google_monitoring_dashboard.this.project == "shop-push"
    error_message = "The dashboard must contain the quota, the services and the dead letters."
  }
}

run "queries" {
  assert {
    condition = { for d in jsondecode(google_monitoring_dashboard.this.dashboard_json).mosaicLayout.tiles[0].widget.xyChart.dataSets : d.legendTemplate => d.timeSeriesQuery.prometheusQuery } == {
      "$${labels.to}" = "sum by (to) (increase(logging_googleapis_com:user_carillon_mailing_states{monitored_resource=\"cloud_run_revision\"}[5m]))"
    }
    error_message = "The tile of states must have a line for each state that mailings go to."
  }
  assert {
    condition = { for d in jsondecode(google_monitoring_dashboard.this.dashboard_json).mosaicLayout.tiles[3].widget.xyChart.dataSets : d.legendTemplate => d.timeSeriesQuery.prometheusQuery } == {
      "sent, by our log"     = join(" + ", [for v in ["accepted", "invalid", "refused", "failed"] : "(sum(rate(logging_googleapis_com:user_carillon_${v}_sum{monitored_resource=\"cloud_run_revision\"}[5m])) * 60 or vector(0))"])
      "counted by Google"    = "sum(rate(serviceruntime_googleapis_com:quota_rate_net_usage{monitored_resource=\"consumer_quota\",service=\"fcm.googleapis.com\"}[5m])) * 60"
      "fcm_quota_per_minute" = "vector(600000)"
    }
    error_message = "The rate must count every request to FCM, a minute, beside the quota."
  }
}

run "budget_off" {
  assert {
    condition     = length(google_billing_budget.this) == 0
    error_message = "There must be no budget by default."
  }
}

run "budget" {
  variables {
    alert_emails = ["a@shop.example", "b@shop.example", "c@shop.example", "d@shop.example", "e@shop.example", "f@shop.example"]
    budget       = { billing_account = "012345-6789AB-CDEF01", amount = 500, currency = "EUR" }
  }
  assert {
    condition     = length(google_billing_budget.this) == 1 && google_billing_budget.this[0].billing_account == "012345-6789AB-CDEF01" && google_billing_budget.this[0].amount[0].specified_amount[0].units == "500" && google_billing_budget.this[0].amount[0].specified_amount[0].currency_code == "EUR" && google_billing_budget.this[0].budget_filter[0].projects == toset(["projects/123456789012"])
    error_message = "The budget must be for the project."
  }
  assert {
    condition     = [for r in google_billing_budget.this[0].threshold_rules : r.threshold_percent] == [0.5, 0.9, 1] && length(google_billing_budget.this[0].all_updates_rule[0].monitoring_notification_channels) == 5 && contains(keys(google_project_service.this), "billingbudgets.googleapis.com")
    error_message = "The budget must warn at 50, 90 and 100 %, in at most five channels."
  }
}

run "labels" {
  variables {
    labels       = { team = "crm" }
    alert_emails = ["ops@shop.example"]
    bigquery     = { enabled = true }
    devices      = { enabled = true }
    source_root  = "./tests/testdata/with-devices"
  }
  expect_failures = [check.devices_is_public]
  assert {
    condition = alltrue([for x in concat(
      values(google_pubsub_topic.work), values(google_pubsub_topic.dead), [google_pubsub_topic.events],
      values(google_pubsub_subscription.work), values(google_pubsub_subscription.dead), values(google_pubsub_subscription.given_up), google_pubsub_subscription.bigquery,
    ) : x.labels == tomap({ app = "carillon", team = "crm" })])
    error_message = "Topics and subscriptions must have the labels."
  }
  assert {
    condition = alltrue([for x in [
      google_cloudfunctions2_function.mailings, google_cloudfunctions2_function.customers, google_cloudfunctions2_function.dispatch,
      google_cloudfunctions2_function.deliver["deliver"], google_cloudfunctions2_function.deliver["deliver-small"], google_cloudfunctions2_function.deliver["messages"], google_cloudfunctions2_function.tick, google_cloudfunctions2_function.devices[0],
    ] : x.labels == tomap({ app = "carillon", team = "crm" })])
    error_message = "Functions must have the labels."
  }
  assert {
    condition     = google_storage_bucket.source.labels == tomap({ app = "carillon", team = "crm" }) && google_artifact_registry_repository.images.labels == tomap({ app = "carillon", team = "crm" }) && google_bigquery_dataset.events[0].labels == tomap({ app = "carillon", team = "crm" }) && google_bigquery_table.events[0].labels == tomap({ app = "carillon", team = "crm" }) && alltrue([for v in google_bigquery_table.views : v.labels == tomap({ app = "carillon", team = "crm" })])
    error_message = "Bucket, registry, dataset and table must have the labels."
  }
  assert {
    condition     = alltrue([for x in concat(values(google_monitoring_alert_policy.threshold), [google_monitoring_alert_policy.tick_missing], values(google_monitoring_notification_channel.email)) : x.user_labels == tomap({ app = "carillon", team = "crm" })])
    error_message = "Alerts and channels must have the labels."
  }
}

run "prefix" {
  variables {
    prefix = "push-eu"
  }
  assert {
    condition     = google_cloudfunctions2_function.tick.name == "push-eu-tick" && google_service_account.tick.account_id == "push-eu-tick" && google_storage_bucket.source.name == "push-eu-source-123456789012-europe-west1" && google_project_iam_custom_role.sender.role_id == "push_eu_sender" && google_logging_metric.counter["ticks"].name == "push_eu_ticks" && google_cloud_scheduler_job.tick.name == "push-eu-tick" && google_artifact_registry_repository.images.repository_id == "push-eu-functions"
    error_message = "Names must begin with the prefix."
  }
}

run "outputs" {
  assert {
    condition     = output.mailings_url == "https://mailings.run.app" && output.customers_url == "https://customers.run.app" && output.events_topic == "projects/shop-push/topics/push-events" && output.dashboard_url == "https://console.cloud.google.com/monitoring/dashboards?project=shop-push"
    error_message = "The addresses in the outputs are not those of the functions."
  }
  assert {
    condition     = startswith(output.send_command, "curl -s -X POST https://mailings.run.app/v1/mailings ") && startswith(output.register_command, "curl -s -X POST https://customers.run.app/v1/customers/anna/tokens ") && startswith(output.mailings_command, "curl -s https://mailings.run.app/v1/mailings ") && startswith(output.customer_command, "curl -s https://customers.run.app/v1/customers/anna ")
    error_message = "A command calls another function or path."
  }
  assert {
    condition     = alltrue([for c in [output.send_command, output.register_command, output.mailings_command, output.customer_command] : strcontains(c, "-H \"Authorization: Bearer $(gcloud auth print-identity-token)\"")])
    error_message = "A command lacks the caller's token."
  }
  assert {
    condition     = output.dead_letter_commands == { for n in ["dispatch", "deliver", "deliver-small", "messages", "tick"] : n => "gcloud pubsub subscriptions pull ${n}-dead --project=shop-push --limit=10 --format=json" }
    error_message = "The commands for dead letters use other subscriptions."
  }
  assert {
    condition     = output.service_accounts == { for n in ["mailings", "customers", "dispatch", "deliver", "tick", "delivery", "scheduler", "build"] : n => "${n}@shop-push.iam.gserviceaccount.com" } && output.send_rate == { quota = 600000, instances = 14, per_instance = 42857 }
    error_message = "The outputs of accounts or of the send rate are wrong."
  }
}
