# Topics and subscriptions: push requests, deadlines, dead letters and events in BigQuery.

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

run "topics" {
  assert {
    condition     = { for k, t in google_pubsub_topic.work : k => t.name } == { for n in ["dispatch", "deliver", "deliver-small", "messages", "tick"] : n => n } && { for k, t in google_pubsub_topic.dead : k => t.name } == { for n in ["dispatch", "deliver", "deliver-small", "messages", "tick"] : n => "${n}-dead" } && google_pubsub_topic.events.name == "push-events"
    error_message = "Topics must have the names that the functions use."
  }
}

# Two installations in one project share no name.
run "topic_prefix" {
  variables {
    topic_prefix = "staging-"
    prefix       = "staging"
    database     = "staging"
    bigquery     = { enabled = true, dataset = "staging" }
  }
  assert {
    condition = toset(concat(
      [for t in google_pubsub_topic.work : t.name], [for t in google_pubsub_topic.dead : t.name], [google_pubsub_topic.events.name],
      [for s in google_pubsub_subscription.work : s.name], [for s in google_pubsub_subscription.dead : s.name], [for s in google_pubsub_subscription.given_up : s.name], [google_pubsub_subscription.bigquery[0].name],
      )) == toset(concat(
      [for n in ["dispatch", "deliver", "deliver-small", "messages", "tick"] : "staging-${n}"], [for n in ["dispatch", "deliver", "deliver-small", "messages", "tick"] : "staging-${n}-dead"],
      [for n in ["deliver", "deliver-small", "messages"] : "staging-${n}-dead-to-${n}"], ["staging-push-events", "staging-push-events-to-bigquery"],
    ))
    error_message = "Every topic and subscription must have the prefix."
  }
  assert {
    condition     = google_cloudfunctions2_function.tick.service_config[0].environment_variables["DELIVER_SMALL_TOPIC"] == "staging-deliver-small" && google_cloudfunctions2_function.mailings.service_config[0].environment_variables["DISPATCH_TOPIC"] == "staging-dispatch" && google_cloudfunctions2_function.deliver["deliver"].service_config[0].environment_variables["EVENTS_TOPIC"] == "staging-push-events"
    error_message = "The functions must publish to the topics with the prefix."
  }
  assert {
    condition     = strcontains(google_monitoring_dashboard.this.dashboard_json, "subscription_id=~\\\"staging-(deliver|deliver-small|dispatch|messages|tick)\\\"") && strcontains(google_monitoring_dashboard.this.dashboard_json, "subscription_id=~\\\"staging-(deliver|deliver-small|dispatch|messages|tick)-dead\\\"")
    error_message = "The dashboard must show the subscriptions with the prefix."
  }
}

run "workers" {
  assert {
    condition = { for k, s in google_pubsub_subscription.work : k => join(" ", [
      s.project, s.name, s.topic, s.push_config[0].push_endpoint, s.push_config[0].oidc_token[0].audience, s.push_config[0].oidc_token[0].service_account_email,
      ]) } == {
      for n in ["dispatch", "deliver", "deliver-small", "messages", "tick"] : n => "shop-push ${n} projects/shop-push/topics/${n} https://${n}.run.app https://${n}.run.app delivery@shop-push.iam.gserviceaccount.com"
    }
    error_message = "A subscription must push its own topic to the address of its worker, with the delivery account."
  }
  assert {
    condition     = { for k, s in google_pubsub_subscription.work : k => s.ack_deadline_seconds } == { dispatch = 330, deliver = 150, deliver-small = 150, messages = 90, tick = 150 }
    error_message = "The ack deadlines are wrong."
  }
  assert {
    condition     = alltrue([for k, s in google_pubsub_subscription.work : s.ack_deadline_seconds > var.functions[k].timeout_seconds && s.ack_deadline_seconds <= 600])
    error_message = "An ack deadline must be above the timeout of the function, and at most 600 s."
  }
  assert {
    condition     = { for k, s in google_pubsub_subscription.work : k => "${s.dead_letter_policy[0].dead_letter_topic} ${s.dead_letter_policy[0].max_delivery_attempts}" } == { dispatch = "projects/shop-push/topics/dispatch-dead 20", deliver = "projects/shop-push/topics/deliver-dead 20", deliver-small = "projects/shop-push/topics/deliver-small-dead 20", messages = "projects/shop-push/topics/messages-dead 20", tick = "projects/shop-push/topics/tick-dead 5" }
    error_message = "After too many deliveries a message must go to the dead letters of its worker."
  }
}

run "stopped" {
  variables {
    stopped  = true
    bigquery = { enabled = true }
  }
  assert {
    condition     = length(flatten([for s in concat(values(google_pubsub_subscription.work), values(google_pubsub_subscription.given_up)) : s.push_config])) == 0
    error_message = "Stopped, no worker may get a message."
  }
  assert {
    condition     = length(google_pubsub_subscription.bigquery[0].bigquery_config) == 1
    error_message = "Stopped, events must still be stored in BigQuery."
  }
}

run "ordering" {
  assert {
    condition     = { for k, s in google_pubsub_subscription.work : k => s.enable_message_ordering if s.enable_message_ordering } == { messages = true }
    error_message = "Only the lane of messages to one customer must be ordered, so that two copies of a message are not delivered at the same time."
  }
}

run "dead_letters" {
  assert {
    condition     = { for k, s in google_pubsub_subscription.dead : k => "${s.project} ${s.name} ${s.topic} ${length(s.push_config)} ${s.ack_deadline_seconds}" } == { for n in ["dispatch", "deliver", "deliver-small", "messages", "tick"] : n => "shop-push ${n}-dead projects/shop-push/topics/${n}-dead 0 60" }
    error_message = "Every dead-letter topic must have a subscription to pull from."
  }
  assert {
    condition = { for lane, s in google_pubsub_subscription.given_up : lane => join(" ", [
      s.project, s.name, s.topic, s.push_config[0].push_endpoint, s.push_config[0].oidc_token[0].audience, s.push_config[0].oidc_token[0].service_account_email, s.ack_deadline_seconds,
      ]) } == {
      for n in ["deliver", "deliver-small", "messages"] : n => "shop-push ${n}-dead-to-${n} projects/shop-push/topics/${n}-dead https://${n}.run.app https://${n}.run.app delivery@shop-push.iam.gserviceaccount.com ${n == "messages" ? 90 : 150}"
    }
    error_message = "Each lane of deliver must receive its own dead letters."
  }
  assert {
    condition     = alltrue([for s in google_pubsub_subscription.given_up : length(s.dead_letter_policy) == 0])
    error_message = "The subscription of dead letters must not have dead letters of its own."
  }
}

run "all" {
  variables {
    bigquery = { enabled = true }
  }
  assert {
    condition     = alltrue([for s in concat(values(google_pubsub_subscription.work), values(google_pubsub_subscription.dead), values(google_pubsub_subscription.given_up), google_pubsub_subscription.bigquery) : s.expiration_policy[0].ttl == ""])
    error_message = "A subscription must not expire."
  }
  assert {
    condition     = alltrue([for s in concat(values(google_pubsub_subscription.work), values(google_pubsub_subscription.dead), values(google_pubsub_subscription.given_up), google_pubsub_subscription.bigquery) : s.message_retention_duration == "604800s"])
    error_message = "Messages must be kept for seven days."
  }
  assert {
    condition     = alltrue([for s in concat(values(google_pubsub_subscription.work), values(google_pubsub_subscription.given_up), google_pubsub_subscription.bigquery) : s.retry_policy[0].minimum_backoff == "10s" && s.retry_policy[0].maximum_backoff == "600s"])
    error_message = "The back-off must grow from 10 to 600 s."
  }
}

run "settings_arrive" {
  variables {
    bigquery          = { enabled = true }
    message_retention = "86400s"
    backoff           = { minimum = "20s", maximum = "300s" }
  }
  assert {
    condition     = alltrue([for s in concat(values(google_pubsub_subscription.work), values(google_pubsub_subscription.dead), values(google_pubsub_subscription.given_up), google_pubsub_subscription.bigquery) : s.message_retention_duration == "86400s"])
    error_message = "message_retention has no effect."
  }
  assert {
    condition     = alltrue([for s in concat(values(google_pubsub_subscription.work), values(google_pubsub_subscription.given_up), google_pubsub_subscription.bigquery) : s.retry_policy[0].minimum_backoff == "20s" && s.retry_policy[0].maximum_backoff == "300s"])
    error_message = "backoff has no effect."
  }
}

run "bigquery_off" {
  assert {
    condition     = length(google_pubsub_subscription.bigquery) + length(google_bigquery_dataset.events) + length(google_bigquery_table.events) + length(google_bigquery_table.views) == 0 && output.bigquery_table == null && !contains(keys(google_project_service.this), "bigquery.googleapis.com")
    error_message = "BigQuery must be off by default."
  }
}

run "bigquery" {
  variables {
    bigquery = { enabled = true, dataset = "push", location = "EU", keep_days = 10 }
  }
  assert {
    condition     = length(google_pubsub_subscription.bigquery) == 1 && google_pubsub_subscription.bigquery[0].bigquery_config[0].table == "shop-push.push.events" && google_pubsub_subscription.bigquery[0].bigquery_config[0].write_metadata && google_pubsub_subscription.bigquery[0].topic == "projects/shop-push/topics/push-events" && google_pubsub_subscription.bigquery[0].name == "push-events-to-bigquery" && output.bigquery_table == "shop-push.push.events"
    error_message = "Events must go to the table, with their metadata."
  }
  assert {
    condition     = length(google_bigquery_dataset.events) == 1 && length(google_bigquery_table.events) == 1 && google_bigquery_dataset.events[0].location == "EU" && google_bigquery_dataset.events[0].dataset_id == "push" && google_bigquery_dataset.events[0].delete_contents_on_destroy == false && contains(keys(google_project_service.this), "bigquery.googleapis.com")
    error_message = "The dataset must be in the configured location, and must not be deleted with its contents."
  }
  assert {
    condition     = google_bigquery_table.events[0].deletion_protection && google_bigquery_table.events[0].time_partitioning[0].type == "DAY" && google_bigquery_table.events[0].time_partitioning[0].field == "publish_time" && google_bigquery_table.events[0].time_partitioning[0].expiration_ms == 864000000
    error_message = "The table must have a partition for each day, kept for keep_days."
  }
  assert {
    condition     = { for c in jsondecode(google_bigquery_table.events[0].schema) : c.name => "${c.type} ${c.mode}" } == { subscription_name = "STRING NULLABLE", message_id = "STRING NULLABLE", publish_time = "TIMESTAMP NULLABLE", attributes = "JSON NULLABLE", data = "JSON NULLABLE" }
    error_message = "The columns must be those that Pub/Sub writes."
  }
  assert {
    condition     = { for k, v in google_bigquery_table.views : k => "${v.project} ${v.dataset_id} ${v.table_id}" } == { for n in ["mailings", "reachability_by_day", "invalid_tokens_by_week", "opens"] : n => "shop-push push ${n}" }
    error_message = "The views must be in the dataset of the events."
  }
  assert {
    condition     = alltrue([for v in google_bigquery_table.views : v.view[0].use_legacy_sql == false && strcontains(v.view[0].query, "FROM `shop-push.push.events`") && !strcontains(v.view[0].query, "$${")])
    error_message = "The views must read the table of the events, in GoogleSQL."
  }
  assert {
    condition     = alltrue([for v in google_bigquery_table.views : v.deletion_protection == false])
    error_message = "A view has no data to protect, and must be replaceable."
  }
}
