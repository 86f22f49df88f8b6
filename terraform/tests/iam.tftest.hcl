# Every role by its exact name: nothing else finds a misspelt role before an apply.

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

run "functions" {
  assert {
    condition     = { for k, m in google_project_iam_member.datastore : k => "${m.project} ${m.role} ${m.member}" } == { for k in ["mailings", "customers", "dispatch", "deliver", "tick"] : k => "shop-push roles/datastore.user serviceAccount:${k}@shop-push.iam.gserviceaccount.com" }
    error_message = "Each function must use the database with its own account."
  }
  assert {
    condition     = toset([for m in google_project_iam_member.datastore : m.condition[0].expression]) == toset(["resource.name == \"projects/shop-push/databases/carillon\""])
    error_message = "The role must be limited to the database of Carillon."
  }
  assert {
    condition     = { for k, m in google_project_iam_member.sender : k => "${m.project} ${m.role} ${m.member}" } == { for k in ["mailings", "deliver"] : k => "shop-push projects/shop-push/roles/carillon_sender serviceAccount:${k}@shop-push.iam.gserviceaccount.com" }
    error_message = "Only mailings and deliver may call FCM."
  }
  assert {
    condition     = google_project_iam_custom_role.sender.permissions == toset(["cloudmessaging.messages.create"]) && google_project_iam_custom_role.sender.role_id == "carillon_sender" && google_project_iam_custom_role.sender.project == "shop-push"
    error_message = "The role for FCM must allow only sending."
  }
  assert {
    condition = { for k, m in google_pubsub_topic_iam_member.publisher : k => "${m.project} ${m.topic} ${m.role} ${m.member}" } == {
      "mailings/dispatch"     = "shop-push dispatch roles/pubsub.publisher serviceAccount:mailings@shop-push.iam.gserviceaccount.com"
      "customers/push-events" = "shop-push push-events roles/pubsub.publisher serviceAccount:customers@shop-push.iam.gserviceaccount.com"
      "dispatch/dispatch"     = "shop-push dispatch roles/pubsub.publisher serviceAccount:dispatch@shop-push.iam.gserviceaccount.com"
      "dispatch/deliver"      = "shop-push deliver roles/pubsub.publisher serviceAccount:dispatch@shop-push.iam.gserviceaccount.com"
      "dispatch/tick"         = "shop-push tick roles/pubsub.publisher serviceAccount:dispatch@shop-push.iam.gserviceaccount.com"
      "dispatch/push-events"  = "shop-push push-events roles/pubsub.publisher serviceAccount:dispatch@shop-push.iam.gserviceaccount.com"
      "deliver/push-events"   = "shop-push push-events roles/pubsub.publisher serviceAccount:deliver@shop-push.iam.gserviceaccount.com"
      "tick/dispatch"         = "shop-push dispatch roles/pubsub.publisher serviceAccount:tick@shop-push.iam.gserviceaccount.com"
      "tick/deliver"          = "shop-push deliver roles/pubsub.publisher serviceAccount:tick@shop-push.iam.gserviceaccount.com"
      "tick/push-events"      = "shop-push push-events roles/pubsub.publisher serviceAccount:tick@shop-push.iam.gserviceaccount.com"

      "dispatch/deliver-small" = "shop-push deliver-small roles/pubsub.publisher serviceAccount:dispatch@shop-push.iam.gserviceaccount.com"
      "mailings/messages"      = "shop-push messages roles/pubsub.publisher serviceAccount:mailings@shop-push.iam.gserviceaccount.com"
      "tick/messages"          = "shop-push messages roles/pubsub.publisher serviceAccount:tick@shop-push.iam.gserviceaccount.com"
      "tick/deliver-small"     = "shop-push deliver-small roles/pubsub.publisher serviceAccount:tick@shop-push.iam.gserviceaccount.com"
    }
    error_message = "A function may publish only to the topics that it needs."
  }
  assert {
    condition = {
      for a in [
        google_service_account.mailings, google_service_account.customers, google_service_account.dispatch, google_service_account.deliver,
        google_service_account.tick, google_service_account.delivery, google_service_account.scheduler, google_service_account.build,
      ] : a.email => "${a.project} ${a.account_id}"
    } == { for n in ["mailings", "customers", "dispatch", "deliver", "tick", "delivery", "scheduler", "build"] : "${n}@shop-push.iam.gserviceaccount.com" => "shop-push carillon-${n}" }
    error_message = "Every function, delivery, the scheduler and builds must have an account of their own."
  }
}

run "delivery" {
  assert {
    condition     = { for k, m in google_cloud_run_v2_service_iam_member.delivery : k => "${m.project} ${m.location} ${m.name} ${m.role} ${m.member}" } == { for k in ["dispatch", "deliver", "deliver-small", "messages", "tick"] : k => "shop-push europe-west1 carillon-${k} roles/run.invoker serviceAccount:delivery@shop-push.iam.gserviceaccount.com" }
    error_message = "The delivery account may invoke only the workers."
  }
  assert {
    condition     = google_service_account_iam_member.push_token.service_account_id == "projects/shop-push/serviceAccounts/delivery@shop-push.iam.gserviceaccount.com" && google_service_account_iam_member.push_token.role == "roles/iam.serviceAccountOpenIdTokenCreator" && google_service_account_iam_member.push_token.member == "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"
    error_message = "Pub/Sub must be able to sign tokens of the delivery account."
  }
  assert {
    condition     = { for k, m in google_pubsub_topic_iam_member.dead_letter : k => "${m.project} ${m.topic} ${m.role} ${m.member}" } == { for k in ["dispatch", "deliver", "deliver-small", "messages", "tick"] : k => "shop-push ${k}-dead roles/pubsub.publisher serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com" }
    error_message = "Pub/Sub must be able to publish to the dead-letter topics."
  }
  assert {
    condition     = { for k, m in google_pubsub_subscription_iam_member.dead_letter : k => "${m.project} ${m.subscription} ${m.role} ${m.member}" } == { for k in ["dispatch", "deliver", "deliver-small", "messages", "tick"] : k => "shop-push ${k} roles/pubsub.subscriber serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com" }
    error_message = "Pub/Sub must be able to acknowledge the messages that it moves to the dead letters."
  }
}

run "build" {
  assert {
    condition     = google_project_iam_member.build_logs.role == "roles/logging.logWriter" && google_project_iam_member.build_logs.member == "serviceAccount:build@shop-push.iam.gserviceaccount.com" && google_project_iam_member.build_logs.project == "shop-push"
    error_message = "A build must be able to write its log."
  }
  assert {
    condition     = google_storage_bucket_iam_member.build.role == "roles/storage.objectViewer" && google_storage_bucket_iam_member.build.member == "serviceAccount:build@shop-push.iam.gserviceaccount.com" && google_storage_bucket_iam_member.build.bucket == "carillon-source-123456789012-europe-west1"
    error_message = "A build must be able to read the uploads."
  }
  assert {
    condition     = google_project_iam_member.build_sources.role == "roles/storage.objectViewer" && google_project_iam_member.build_sources.member == "serviceAccount:build@shop-push.iam.gserviceaccount.com" && google_project_iam_member.build_sources.project == "shop-push" && google_project_iam_member.build_sources.condition[0].expression == "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-123456789012-\")"
    error_message = "A build must be able to read the bucket to which the service copies uploads, and no other."
  }
  assert {
    condition     = google_artifact_registry_repository_iam_member.build.role == "roles/artifactregistry.writer" && google_artifact_registry_repository_iam_member.build.member == "serviceAccount:build@shop-push.iam.gserviceaccount.com" && google_artifact_registry_repository_iam_member.build.repository == "carillon-functions" && google_artifact_registry_repository_iam_member.build.location == "europe-west1" && google_artifact_registry_repository_iam_member.build.project == "shop-push"
    error_message = "A build must be able to write images to our registry."
  }
}

run "nobody_else" {
  assert {
    condition     = length(google_cloud_run_v2_service_iam_member.invoker) == 0 && length(google_cloud_run_v2_service_iam_member.token_check) == 0 && length(google_cloud_run_v2_service_iam_member.public) == 0 && length(google_bigquery_table_iam_member.events) == 0
    error_message = "Only named members may call a function."
  }
}

run "named" {
  variables {
    database = "push"
    invokers = {
      mailings  = ["user:anna@shop.example", "serviceAccount:crm@shop.iam.gserviceaccount.com"]
      customers = ["group:apps@shop.example"]
    }
    token_check = { enabled = true }
    bigquery    = { enabled = true }
  }
  assert {
    condition = { for k, m in google_cloud_run_v2_service_iam_member.invoker : k => "${m.project} ${m.location} ${m.name} ${m.role} ${m.member}" } == {
      "mailings/user:anna@shop.example"                          = "shop-push europe-west1 carillon-mailings roles/run.invoker user:anna@shop.example"
      "mailings/serviceAccount:crm@shop.iam.gserviceaccount.com" = "shop-push europe-west1 carillon-mailings roles/run.invoker serviceAccount:crm@shop.iam.gserviceaccount.com"
      "customers/group:apps@shop.example"                        = "shop-push europe-west1 carillon-customers roles/run.invoker group:apps@shop.example"
    }
    error_message = "A named member must be able to call its function."
  }
  assert {
    condition     = length(google_cloud_run_v2_service_iam_member.token_check) == 1 && google_cloud_run_v2_service_iam_member.token_check[0].name == "carillon-mailings" && google_cloud_run_v2_service_iam_member.token_check[0].role == "roles/run.invoker" && google_cloud_run_v2_service_iam_member.token_check[0].member == "serviceAccount:scheduler@shop-push.iam.gserviceaccount.com" && google_cloud_run_v2_service_iam_member.token_check[0].location == "europe-west1" && google_cloud_run_v2_service_iam_member.token_check[0].project == "shop-push"
    error_message = "The scheduler must be able to start the token check."
  }
  assert {
    condition     = length(google_bigquery_table_iam_member.events) == 1 && google_bigquery_table_iam_member.events[0].role == "roles/bigquery.dataEditor" && google_bigquery_table_iam_member.events[0].table_id == "events" && google_bigquery_table_iam_member.events[0].dataset_id == "carillon" && google_bigquery_table_iam_member.events[0].member == "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"
    error_message = "Pub/Sub must be able to write to the table of events, and to no other."
  }
  assert {
    condition     = toset([for m in google_project_iam_member.datastore : m.condition[0].expression]) == toset(["resource.name == \"projects/shop-push/databases/push\""])
    error_message = "The condition must name the configured database."
  }
}

run "projects_of_apps" {
  variables {
    firebase_projects = { "com.shop" = "shop-push", "com.pharmacy" = "pharmacy-prod", "com.pharmacy.beta" = "pharmacy-prod", "*" = "kiosk-prod" }
  }
  assert {
    condition = { for k, m in google_project_iam_member.firebase_sender : k => "${m.project} ${m.role} ${m.member}" } == merge([
      for p in ["pharmacy-prod", "kiosk-prod"] : { for f in ["mailings", "deliver"] : "${p}/${f}" => "${p} projects/${p}/roles/carillon_sender serviceAccount:${f}@shop-push.iam.gserviceaccount.com" }
    ]...)
    error_message = "mailings and deliver must be able to send in each project of an app, and nobody else."
  }
  assert {
    condition     = { for k, r in google_project_iam_custom_role.firebase_sender : k => "${r.project} ${r.role_id}" } == { for p in ["pharmacy-prod", "kiosk-prod"] : p => "${p} carillon_sender" } && toset(flatten([for r in google_project_iam_custom_role.firebase_sender : tolist(r.permissions)])) == toset(["cloudmessaging.messages.create", "serviceusage.services.use"])
    error_message = "The role in another project must allow only sending, and using its quota."
  }
  assert {
    condition     = { for k, s in google_project_service.firebase : k => "${s.project} ${s.service} ${s.disable_on_destroy}" } == { for p in ["pharmacy-prod", "kiosk-prod"] : p => "${p} fcm.googleapis.com false" }
    error_message = "FCM's API must be enabled in each project of an app."
  }
}

run "one_project" {
  assert {
    condition     = length(google_project_iam_member.firebase_sender) == 0 && length(google_project_iam_custom_role.firebase_sender) == 0 && length(google_project_service.firebase) == 0
    error_message = "Without firebase_projects nothing may be granted in another project."
  }
}

run "delivery_data" {
  variables {
    delivery_data_apps = { "pharmacy-prod" = ["1:34:android:0c"] }
  }
  assert {
    condition     = { for k, m in google_project_iam_member.delivery_data : k => "${m.project} ${m.role} ${m.member}" } == { pharmacy-prod = "pharmacy-prod projects/pharmacy-prod/roles/carillon_delivery_data serviceAccount:tick@shop-push.iam.gserviceaccount.com" }
    error_message = "tick must be able to read the delivery data of the app's project, and nobody else."
  }
  assert {
    condition     = { for k, r in google_project_iam_custom_role.delivery_data : k => join(" ", r.permissions) } == { pharmacy-prod = "fcmdata.deliverydata.list" }
    error_message = "The role must allow reading delivery data, and nothing else."
  }
  assert {
    condition     = toset([for s in google_project_service.delivery_data : "${s.project} ${s.service} ${s.disable_on_destroy}"]) == toset(["pharmacy-prod fcmdata.googleapis.com false", "shop-push fcmdata.googleapis.com false"])
    error_message = "The API must be enabled in the project of the app and in that of tick."
  }
}

run "no_delivery_data" {
  assert {
    condition     = length(google_project_iam_member.delivery_data) == 0
    error_message = "Without delivery_data_apps nothing may be granted."
  }
  assert {
    condition     = length(google_project_service.delivery_data) == 0
    error_message = "Without delivery_data_apps no API may be enabled."
  }
}
