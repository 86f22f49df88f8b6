locals {
  urls = {
    mailings  = google_cloudfunctions2_function.mailings.service_config[0].uri
    customers = google_cloudfunctions2_function.customers.service_config[0].uri
  }
  authorization = "-H \"Authorization: Bearer $(gcloud auth print-identity-token)\""
}

output "mailings_url" {
  description = "Where mailings are handed in."
  value       = local.urls.mailings
}

output "customers_url" {
  description = "Where push tokens are registered and customers looked up."
  value       = local.urls.customers
}

output "devices_url" {
  description = "Where apps register their own token; null while devices is not enabled."
  value       = one(google_cloudfunctions2_function.devices[*].service_config[0].uri)
}

output "register_command" {
  description = "Registers a push token of a customer; put a real token in."
  value       = <<-EOT
    curl -s -X POST ${local.urls.customers}/v1/customers/anna/tokens \
      ${local.authorization} \
      -H 'Content-Type: application/json' \
      -d '{"token":"PUT-A-REGISTRATION-TOKEN-HERE","platform":"android","app":"shop"}'
  EOT
}

output "send_command" {
  description = "Sends a first mailing, to that customer alone."
  value       = <<-EOT
    curl -s -X POST ${local.urls.mailings}/v1/mailings \
      ${local.authorization} \
      -H 'Content-Type: application/json' -H 'Idempotency-Key: first-mailing' \
      -d '{"message":{"notification":{"title":"Carillon","body":"It rings."}},"audience":{"customers":["anna"]}}'
  EOT
}

output "mailings_command" {
  description = "Lists the mailings, newest first, with what became of them."
  value       = <<-EOT
    curl -s ${local.urls.mailings}/v1/mailings \
      ${local.authorization}
  EOT
}

output "customer_command" {
  description = "Shows whether that customer can be reached."
  value       = <<-EOT
    curl -s ${local.urls.customers}/v1/customers/anna \
      ${local.authorization}
  EOT
}

output "dead_letter_commands" {
  description = "Show what waits in the dead letters, without taking it."
  value = {
    for n, s in google_pubsub_subscription.dead : n =>
    "gcloud pubsub subscriptions pull ${s.name} --project=${var.project_id} --limit=10 --format=json"
  }
}

output "dashboard_url" {
  description = "The dashboard."
  value       = "https://console.cloud.google.com/monitoring/dashboards?project=${var.project_id}"
}

output "events_topic" {
  description = "The topic that tells other systems what happened; subscribe to it."
  value       = google_pubsub_topic.events.id
}

output "reports_table" {
  description = "The BigQuery table of events; null while reports are not enabled."
  value       = one([for s in google_pubsub_subscription.reports : s.bigquery_config[0].table])
}

output "service_accounts" {
  description = "The address of each service account."
  value = merge({
    mailings  = google_service_account.mailings.email
    customers = google_service_account.customers.email
    dispatch  = google_service_account.dispatch.email
    deliver   = google_service_account.deliver.email
    tick      = google_service_account.tick.email
    delivery  = google_service_account.delivery.email
    scheduler = google_service_account.scheduler.email
    build     = google_service_account.build.email
    },
    var.devices.enabled ? { devices = google_service_account.devices[0].email } : {},
  )
}

output "send_rate" {
  description = "FCM's quota a minute, the most instances of deliver, and the rate each instance starts from."
  value       = local.send_rate
}
