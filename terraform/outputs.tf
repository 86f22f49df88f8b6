locals {
  urls = {
    mailings  = google_cloudfunctions2_function.mailings.service_config[0].uri
    customers = google_cloudfunctions2_function.customers.service_config[0].uri
  }
  authorization = "-H \"Authorization: Bearer $(gcloud auth print-identity-token)\""
}

output "mailings_url" {
  description = "Address of the function that accepts mailings."
  value       = local.urls.mailings
}

output "customers_url" {
  description = "Address of the function that registers push tokens and looks up customers."
  value       = local.urls.customers
}

output "devices_url" {
  description = "Address of the function with which apps register their own push token; null if devices is not enabled."
  value       = one(google_cloudfunctions2_function.devices[*].service_config[0].uri)
}

output "console_url" {
  description = "Address of the page for people; null if console is not enabled."
  value       = one(google_cloudfunctions2_function.console[*].service_config[0].uri)
}

output "register_command" {
  description = "Command that registers a push token of the customer anna. Put in a real token."
  value       = <<-EOT
    curl -s -X POST ${local.urls.customers}/v1/customers/anna/tokens \
      ${local.authorization} \
      -H 'Content-Type: application/json' \
      -d '{"token":"PUT-A-REGISTRATION-TOKEN-HERE","platform":"android","app":"shop"}'
  EOT
}

output "send_command" {
  description = "Command that sends a first mailing, only to the customer anna."
  value       = <<-EOT
    curl -s -X POST ${local.urls.mailings}/v1/mailings \
      ${local.authorization} \
      -H 'Content-Type: application/json' -H 'Idempotency-Key: first-mailing' \
      -d '{"message":{"notification":{"title":"Carillon","body":"It rings."}},"audience":{"customers":["anna"]}}'
  EOT
}

output "mailings_command" {
  description = "Command that lists the mailings and their results, newest first."
  value       = <<-EOT
    curl -s ${local.urls.mailings}/v1/mailings \
      ${local.authorization}
  EOT
}

output "customer_command" {
  description = "Command that shows whether the customer anna can be reached."
  value       = <<-EOT
    curl -s ${local.urls.customers}/v1/customers/anna \
      ${local.authorization}
  EOT
}

output "dead_letter_commands" {
  description = "Commands that show the dead letters of each worker without removing them."
  value = {
    for n, s in google_pubsub_subscription.dead : n =>
    "gcloud pubsub subscriptions pull ${s.name} --project=${var.project_id} --limit=10 --format=json"
  }
}

output "dashboard_url" {
  description = "Address of the list of dashboards; the dashboard is named Carillon."
  value       = "https://console.cloud.google.com/monitoring/dashboards?project=${var.project_id}"
}

output "events_topic" {
  description = "Topic of the events for other systems, which subscribe to it."
  value       = google_pubsub_topic.events.id
}

output "bigquery_table" {
  description = "BigQuery table of the events; null if bigquery is not enabled."
  value       = one([for s in google_pubsub_subscription.bigquery : s.bigquery_config[0].table])
}

output "service_accounts" {
  description = "E-mail address of each service account."
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
    var.console.enabled ? { console = google_service_account.console[0].email } : {},
  )
}

output "send_rate" {
  description = "FCM's quota a minute, the maximum number of instances of deliver in all lanes, and the rate a minute at which each instance starts."
  value       = local.send_rate
}

output "vcpus" {
  description = "vCPUs that all functions together use at their maximum number of instances. If this is above the quota of Cloud Run in the region, they cannot all have their maximum at the same time."
  value       = sum([for n in local.running : tonumber(var.functions[n].cpu) * var.functions[n].max_instances])
}
