# What the real provider would answer, where a plan or a reference depends on it.

override_data {
  target = data.google_project.this
  values = {
    number = "123456789012"
  }
}

mock_resource "google_artifact_registry_repository" {
  defaults = {
    id   = "projects/shop-push/locations/europe-west1/repositories/carillon-functions"
    name = "carillon-functions"
  }
}

mock_resource "google_project_iam_custom_role" {
  defaults = {
    name = "projects/shop-push/roles/carillon_sender"
  }
}

mock_resource "google_monitoring_notification_channel" {
  defaults = {
    name = "projects/shop-push/notificationChannels/1"
  }
}

override_resource {
  target = google_cloudfunctions2_function.mailings
  values = {
    service_config = { uri = "https://mailings.run.app" }
  }
}

override_resource {
  target = google_cloudfunctions2_function.customers
  values = {
    service_config = { uri = "https://customers.run.app" }
  }
}

override_resource {
  target = google_cloudfunctions2_function.dispatch
  values = {
    service_config = { uri = "https://dispatch.run.app" }
  }
}

override_resource {
  target = google_cloudfunctions2_function.deliver["deliver"]
  values = {
    service_config = { uri = "https://deliver.run.app" }
  }
}

override_resource {
  target = google_cloudfunctions2_function.deliver["deliver-small"]
  values = {
    service_config = { uri = "https://deliver-small.run.app" }
  }
}

override_resource {
  target = google_cloudfunctions2_function.deliver["messages"]
  values = {
    service_config = { uri = "https://messages.run.app" }
  }
}

override_resource {
  target = google_cloudfunctions2_function.tick
  values = {
    service_config = { uri = "https://tick.run.app" }
  }
}

override_resource {
  target = google_cloudfunctions2_function.devices[0]
  values = {
    service_config = { uri = "https://devices.run.app" }
  }
}

override_resource {
  target = google_service_account.mailings
  values = {
    email  = "mailings@shop-push.iam.gserviceaccount.com"
    member = "serviceAccount:mailings@shop-push.iam.gserviceaccount.com"
    id     = "projects/shop-push/serviceAccounts/mailings@shop-push.iam.gserviceaccount.com"
    name   = "projects/shop-push/serviceAccounts/mailings@shop-push.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.customers
  values = {
    email  = "customers@shop-push.iam.gserviceaccount.com"
    member = "serviceAccount:customers@shop-push.iam.gserviceaccount.com"
    id     = "projects/shop-push/serviceAccounts/customers@shop-push.iam.gserviceaccount.com"
    name   = "projects/shop-push/serviceAccounts/customers@shop-push.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.dispatch
  values = {
    email  = "dispatch@shop-push.iam.gserviceaccount.com"
    member = "serviceAccount:dispatch@shop-push.iam.gserviceaccount.com"
    id     = "projects/shop-push/serviceAccounts/dispatch@shop-push.iam.gserviceaccount.com"
    name   = "projects/shop-push/serviceAccounts/dispatch@shop-push.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.deliver
  values = {
    email  = "deliver@shop-push.iam.gserviceaccount.com"
    member = "serviceAccount:deliver@shop-push.iam.gserviceaccount.com"
    id     = "projects/shop-push/serviceAccounts/deliver@shop-push.iam.gserviceaccount.com"
    name   = "projects/shop-push/serviceAccounts/deliver@shop-push.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.tick
  values = {
    email  = "tick@shop-push.iam.gserviceaccount.com"
    member = "serviceAccount:tick@shop-push.iam.gserviceaccount.com"
    id     = "projects/shop-push/serviceAccounts/tick@shop-push.iam.gserviceaccount.com"
    name   = "projects/shop-push/serviceAccounts/tick@shop-push.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.delivery
  values = {
    email  = "delivery@shop-push.iam.gserviceaccount.com"
    member = "serviceAccount:delivery@shop-push.iam.gserviceaccount.com"
    id     = "projects/shop-push/serviceAccounts/delivery@shop-push.iam.gserviceaccount.com"
    name   = "projects/shop-push/serviceAccounts/delivery@shop-push.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.scheduler
  values = {
    email  = "scheduler@shop-push.iam.gserviceaccount.com"
    member = "serviceAccount:scheduler@shop-push.iam.gserviceaccount.com"
    id     = "projects/shop-push/serviceAccounts/scheduler@shop-push.iam.gserviceaccount.com"
    name   = "projects/shop-push/serviceAccounts/scheduler@shop-push.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.build
  values = {
    email  = "build@shop-push.iam.gserviceaccount.com"
    member = "serviceAccount:build@shop-push.iam.gserviceaccount.com"
    id     = "projects/shop-push/serviceAccounts/build@shop-push.iam.gserviceaccount.com"
    name   = "projects/shop-push/serviceAccounts/build@shop-push.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.devices[0]
  values = {
    email  = "devices@shop-push.iam.gserviceaccount.com"
    member = "serviceAccount:devices@shop-push.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_pubsub_topic.work["dispatch"]
  values = { id = "projects/shop-push/topics/dispatch" }
}

override_resource {
  target = google_pubsub_topic.dead["dispatch"]
  values = { id = "projects/shop-push/topics/dispatch-dead" }
}

override_resource {
  target = google_pubsub_topic.work["deliver"]
  values = { id = "projects/shop-push/topics/deliver" }
}

override_resource {
  target = google_pubsub_topic.dead["deliver"]
  values = { id = "projects/shop-push/topics/deliver-dead" }
}

override_resource {
  target = google_pubsub_topic.work["tick"]
  values = { id = "projects/shop-push/topics/tick" }
}

override_resource {
  target = google_pubsub_topic.dead["tick"]
  values = { id = "projects/shop-push/topics/tick-dead" }
}

override_resource {
  target = google_pubsub_topic.events
  values = { id = "projects/shop-push/topics/push-events" }
}

override_resource {
  target = google_pubsub_topic.work["deliver-small"]
  values = { id = "projects/shop-push/topics/deliver-small" }
}

override_resource {
  target = google_pubsub_topic.dead["deliver-small"]
  values = { id = "projects/shop-push/topics/deliver-small-dead" }
}

override_resource {
  target = google_pubsub_topic.work["messages"]
  values = { id = "projects/shop-push/topics/messages" }
}

override_resource {
  target = google_pubsub_topic.dead["messages"]
  values = { id = "projects/shop-push/topics/messages-dead" }
}

override_resource {
  target = google_cloudfunctions2_function.console[0]
  values = {
    service_config = { uri = "https://console.run.app" }
  }
}

override_resource {
  target = google_service_account.console[0]
  values = {
    email  = "console@shop-push.iam.gserviceaccount.com"
    member = "serviceAccount:console@shop-push.iam.gserviceaccount.com"
  }
}
