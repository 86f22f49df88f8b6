# Optional: a row in BigQuery for every event of push-events, and views of these rows.

locals {
  bigquery_table = "${var.project_id}.${var.bigquery.dataset}.events"
  bigquery_views = {
    mailings               = "One row for each mailing that has started or ended, with its sums"
    reachability_by_day    = "Customers whose availability changed on a day, by the state they had at its end"
    invalid_tokens_by_week = "Tokens that were flagged in a week, by code"
    opens                  = "How often each mailing was opened, as phones report it"
  }
}

resource "google_bigquery_dataset" "events" {
  count = var.bigquery.enabled ? 1 : 0

  project                    = var.project_id
  dataset_id                 = var.bigquery.dataset
  location                   = coalesce(var.bigquery.location, var.region)
  description                = "Events of Carillon, from the topic push-events"
  delete_contents_on_destroy = false
  labels                     = local.labels

  depends_on = [google_project_service.this]
}

# The columns that Pub/Sub writes for a topic without a schema. data is the CloudEvent.
resource "google_bigquery_table" "events" {
  count = var.bigquery.enabled ? 1 : 0

  project             = var.project_id
  dataset_id          = google_bigquery_dataset.events[0].dataset_id
  table_id            = "events"
  description         = "One row for each event; an event may have two rows, with the same data.id"
  deletion_protection = var.protect_data
  labels              = local.labels

  time_partitioning {
    type          = "DAY"
    field         = "publish_time"
    expiration_ms = var.bigquery.keep_days * 86400000
  }

  schema = jsonencode([
    { name = "subscription_name", type = "STRING", mode = "NULLABLE" },
    { name = "message_id", type = "STRING", mode = "NULLABLE" },
    { name = "publish_time", type = "TIMESTAMP", mode = "NULLABLE" },
    { name = "attributes", type = "JSON", mode = "NULLABLE" },
    { name = "data", type = "JSON", mode = "NULLABLE" },
  ])
}

# The queries are in views/. A view has no data: who may read the dataset may read it.
resource "google_bigquery_table" "views" {
  for_each = var.bigquery.enabled ? local.bigquery_views : {}

  project             = var.project_id
  dataset_id          = google_bigquery_dataset.events[0].dataset_id
  table_id            = each.key
  description         = each.value
  deletion_protection = false
  labels              = local.labels

  view {
    query          = templatefile("${path.module}/views/${each.key}.sql", { events = local.bigquery_table })
    use_legacy_sql = false
  }

  depends_on = [google_bigquery_table.events] # BigQuery refuses a view of a table that is not there
}

resource "google_bigquery_table_iam_member" "events" {
  count = var.bigquery.enabled ? 1 : 0

  project    = var.project_id
  dataset_id = google_bigquery_dataset.events[0].dataset_id
  table_id   = google_bigquery_table.events[0].table_id
  role       = "roles/bigquery.dataEditor"
  member     = local.pubsub_agent
}

resource "google_pubsub_subscription" "bigquery" {
  count = var.bigquery.enabled ? 1 : 0

  project                    = var.project_id
  name                       = "${var.topic_prefix}push-events-to-bigquery"
  topic                      = google_pubsub_topic.events.id
  ack_deadline_seconds       = 60
  message_retention_duration = var.message_retention
  labels                     = local.labels

  bigquery_config {
    table          = "${var.project_id}.${google_bigquery_dataset.events[0].dataset_id}.${google_bigquery_table.events[0].table_id}"
    write_metadata = true
  }

  retry_policy {
    minimum_backoff = var.backoff.minimum
    maximum_backoff = var.backoff.maximum
  }

  expiration_policy {
    ttl = "" # never
  }

  depends_on = [google_bigquery_table_iam_member.events]
}
