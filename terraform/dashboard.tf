# A dashboard that shows whether mailings are sent, and what they cost.

locals {
  # Parts of the PromQL queries: the prefix of our own metrics, and the labels that
  # select our services, subscriptions and dead letters.
  own = "logging_googleapis_com:user_${local.metric_prefix}"
  on  = "{monitored_resource=\"cloud_run_revision\"}"
  run = "{monitored_resource=\"cloud_run_revision\",service_name=~\"${var.prefix}-(${join("|", sort(tolist(local.running)))})\"}"
  sub = "{monitored_resource=\"pubsub_subscription\",subscription_id=~\"${var.topic_prefix}(${join("|", sort(tolist(local.workers)))})\"}"
  dlq = "{monitored_resource=\"pubsub_subscription\",subscription_id=~\"${var.topic_prefix}(${join("|", sort(tolist(local.workers)))})-dead\"}"

  database = "{monitored_resource=\"firestore.googleapis.com/Database\",database_id=\"${google_firestore_database.this.name}\"}"

  result_rates = { for v in sort(tolist(local.results)) : v => "sum(rate(${local.own}_${v}_sum${local.on}[5m])) * 60" }

  tiles = [
    {
      title = "Mailings by the state they went to"
      queries = {
        "$${labels.to}" = "sum by (to) (increase(${local.own}_mailing_states${local.on}[5m]))"
      }
    },
    {
      title = "Start of mailings after their time, milliseconds"
      queries = {
        "median" = "histogram_quantile(0.5, sum by (le) (rate(${local.own}_mailing_late_milliseconds_bucket${local.on}[5m])))"
        "99 %"   = "histogram_quantile(0.99, sum by (le) (rate(${local.own}_mailing_late_milliseconds_bucket${local.on}[5m])))"
      }
    },
    {
      title   = "Results, tokens a minute"
      queries = local.result_rates
    },
    {
      title = "Rate against FCM's quota, a minute"
      queries = {
        "sent, by our log"     = join(" + ", [for v in ["accepted", "invalid", "refused", "failed"] : "(${local.result_rates[v]} or vector(0))"])
        "counted by Google"    = "sum(rate(serviceruntime_googleapis_com:quota_rate_net_usage{monitored_resource=\"consumer_quota\",service=\"fcm.googleapis.com\"}[5m])) * 60"
        "fcm_quota_per_minute" = "vector(${var.fcm_quota_per_minute})"
      }
    },
    {
      title = "Age of the oldest message, seconds"
      queries = {
        "$${labels.subscription_id}" = "max by (subscription_id) (pubsub_googleapis_com:subscription_oldest_unacked_message_age${local.sub})"
      }
    },
    {
      title = "Time of an attempt at a batch, ms"
      queries = {
        "median" = "histogram_quantile(0.5, sum by (le) (rate(${local.own}_batch_milliseconds_bucket${local.on}[5m])))"
        "95 %"   = "histogram_quantile(0.95, sum by (le) (rate(${local.own}_batch_milliseconds_bucket${local.on}[5m])))"
      }
    },
    {
      title = "Messages to one customer: a minute, and milliseconds to the result"
      queries = {
        "finished a minute" = "sum(rate(${local.own}_message_age_milliseconds_count${local.on}[5m])) * 60"
        "median"            = "histogram_quantile(0.5, sum by (le) (rate(${local.own}_message_age_milliseconds_bucket${local.on}[5m])))"
        "99 %"              = "histogram_quantile(0.99, sum by (le) (rate(${local.own}_message_age_milliseconds_bucket${local.on}[5m])))"
      }
    },
    {
      title = "Retries, failures and dead letters"
      queries = {
        "batches that wait"                   = "sum(increase(${local.own}_batches_waiting${local.on}[5m]))"
        "batches or messages given up"        = "sum(increase(${local.own}_given_up${local.on}[5m]))"
        "breaker open"                        = "sum(increase(${local.own}_breaker_open${local.on}[5m]))"
        "dead letters of batches"             = "sum(increase(${local.own}_dead_letters${local.on}[5m]))"
        "$${labels.subscription_id}, waiting" = "sum by (subscription_id) (pubsub_googleapis_com:subscription_num_undelivered_messages${local.dlq})"
      }
    },
    {
      title = "Requests answered with 5xx, a minute"
      queries = {
        "$${labels.service_name}" = "sum by (service_name) (rate(run_googleapis_com:request_count${replace(local.run, "}", ",response_code_class=\"5xx\"}")}[5m])) * 60"
      }
    },
    {
      title = "Instances"
      queries = {
        "$${labels.service_name}" = "sum by (service_name) (run_googleapis_com:container_instance_count${local.run})"
      }
    },
    {
      title = "Cost: billed instance seconds a second"
      queries = {
        "$${labels.service_name}" = "sum by (service_name) (rate(run_googleapis_com:container_billable_instance_time${local.run}[5m]))"
      }
    },
    {
      title = "Cost: Firestore documents a minute"
      queries = {
        "read"    = "sum(rate(firestore_googleapis_com:document_read_ops_count${local.database}[5m])) * 60"
        "written" = "sum(rate(firestore_googleapis_com:document_write_ops_count${local.database}[5m])) * 60"
        "deleted" = "sum(rate(firestore_googleapis_com:document_delete_ops_count${local.database}[5m])) * 60"
      }
    },
    {
      title = "Customers from rosters, and their Firestore documents, a minute"
      queries = {
        "customers"         = "sum(rate(${local.own}_roster_customers_sum${local.on}[5m])) * 60"
        "rosters read"      = "sum(rate(${local.own}_roster_documents_read_sum${local.on}[5m])) * 60"
        "changes read"      = "sum(rate(${local.own}_roster_changes_read_sum${local.on}[5m])) * 60"
        "read to make them" = "sum(rate(${local.own}_roster_customers_read_sum${local.on}[5m])) * 60"
        "rosters written"   = "sum(rate(${local.own}_roster_documents_written_sum${local.on}[5m])) * 60"
      }
    },
    {
      title = "Cost: Pub/Sub bytes a minute"
      queries = {
        "$${labels.topic_id}" = "sum by (topic_id) (rate(pubsub_googleapis_com:topic_byte_cost{monitored_resource=\"pubsub_topic\"}[5m])) * 60"
      }
    },
    {
      title = "Cost: log bytes a minute"
      queries = {
        "logs of Cloud Run" = "sum(rate(logging_googleapis_com:byte_count${local.on}[5m])) * 60"
      }
    },
  ]
}

resource "google_monitoring_dashboard" "this" {
  project = var.project_id

  dashboard_json = jsonencode({
    displayName = "Carillon"
    labels      = { for k, v in local.labels : k => v }
    mosaicLayout = {
      columns = 12
      # The API leaves positions of 0 out. If they were here, each plan would show a change.
      tiles = [for i, t in local.tiles : merge(
        i % 3 == 0 ? {} : { xPos = i % 3 * 4 },
        i < 3 ? {} : { yPos = floor(i / 3) * 4 },
        {
          width  = 4
          height = 4
          widget = {
            title = t.title
            xyChart = {
              dataSets = [for legend, query in t.queries : {
                plotType        = "LINE"
                legendTemplate  = legend
                timeSeriesQuery = { prometheusQuery = query }
              }]
            }
          }
      })]
    }
  })

  depends_on = [
    google_project_service.this,
    google_logging_metric.result,
    google_logging_metric.counter,
    google_logging_metric.duration,
    google_logging_metric.roster,
  ]
}
