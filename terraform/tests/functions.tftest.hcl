# The uploads, their layout, and the settings of each function.

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

run "upload" {
  assert {
    condition     = toset([for s in data.archive_file.source["mailings"].source : s.filename]) == toset(["function.go", "handler.go", "go.mod", "go.sum", "shared/push/push.go", "shared/cloud/cloud.go"])
    error_message = "The files of a function must be at the root of the upload, beside go.mod, go.sum and shared/, without tests, test data and folders."
  }
  assert {
    condition     = toset([for s in data.archive_file.source["tick"].source : s.filename]) == toset(["function.go", "go.mod", "go.sum", "shared/push/push.go", "shared/cloud/cloud.go"])
    error_message = "An upload must contain only its own function."
  }
  assert {
    condition     = one([for s in data.archive_file.source["tick"].source : s.content if s.filename == "function.go"]) == "package tick\n"
    error_message = "An upload must contain the files of its function."
  }
  assert {
    condition     = alltrue([for s in data.archive_file.source["tick"].source : s.content == file("./tests/testdata/checkout/${s.filename}") if s.filename != "function.go"])
    error_message = "go.mod, go.sum and shared/ must be those of the checkout."
  }
  assert {
    condition     = alltrue([for a in data.archive_file.source : a.output_file_mode == "0644" && a.type == "zip"])
    error_message = "The archive must be the same from every machine."
  }
  assert {
    condition     = length(toset([for a in data.archive_file.source : a.output_path])) == 5
    error_message = "Each archive must be a file of its own."
  }
  assert {
    condition     = { for k, o in google_storage_bucket_object.source : k => o.name } == { for k in ["mailings", "customers", "dispatch", "deliver", "tick"] : k => "${k}-c0ffee.zip" }
    error_message = "The name of an object must contain its function and its hash."
  }
  assert {
    condition     = alltrue([for k, o in google_storage_bucket_object.source : o.bucket == google_storage_bucket.source.name && o.source == data.archive_file.source[k].output_path])
    error_message = "An object must be the archive of its function."
  }
  assert {
    condition     = google_storage_bucket.source.name == "carillon-source-123456789012-europe-west1" && google_storage_bucket.source.location == "europe-west1" && google_storage_bucket.source.uniform_bucket_level_access && google_storage_bucket.source.public_access_prevention == "enforced" && google_storage_bucket.source.force_destroy
    error_message = "The bucket must be private and in the region, which its name has: after the loss of the region the name cannot be used again."
  }
}

run "longest_name_of_a_bucket" {
  variables {
    project_id = "a23456789-123456789-123456789z"
    prefix     = "carillon-eighteenx"
    region     = "northamerica-northeast1"
  }
  assert {
    condition     = length(google_storage_bucket.source.name) <= 63
    error_message = "Cloud Storage takes at most 63 characters in the name of a bucket."
  }
}

run "build" {
  assert {
    condition = {
      for f in [
        google_cloudfunctions2_function.mailings, google_cloudfunctions2_function.customers, google_cloudfunctions2_function.dispatch,
        google_cloudfunctions2_function.deliver["deliver"], google_cloudfunctions2_function.deliver["deliver-small"], google_cloudfunctions2_function.deliver["messages"], google_cloudfunctions2_function.tick,
      ] : f.name => "${f.build_config[0].entry_point} ${f.build_config[0].runtime} ${f.build_config[0].service_account} ${f.build_config[0].docker_repository} ${f.build_config[0].source[0].storage_source[0].object} ${f.location} ${f.project}"
      } == {
      for n, source in { mailings = "mailings", customers = "customers", dispatch = "dispatch", deliver = "deliver", deliver-small = "deliver", messages = "deliver", tick = "tick" } :
      "carillon-${n}" => "${source} go126 projects/shop-push/serviceAccounts/build@shop-push.iam.gserviceaccount.com projects/shop-push/locations/europe-west1/repositories/carillon-functions ${source}-c0ffee.zip europe-west1 shop-push"
    }
    error_message = "A function must be built from its own upload (all lanes of deliver from the same one), with its own entry point, by the build account, into our registry."
  }
  assert {
    condition = alltrue([for f in [
      google_cloudfunctions2_function.mailings, google_cloudfunctions2_function.customers, google_cloudfunctions2_function.dispatch,
      google_cloudfunctions2_function.deliver["deliver"], google_cloudfunctions2_function.deliver["deliver-small"], google_cloudfunctions2_function.deliver["messages"], google_cloudfunctions2_function.tick,
    ] : f.build_config[0].source[0].storage_source[0].bucket == google_storage_bucket.source.name && length(f.event_trigger) == 0])
    error_message = "Uploads must come from our bucket, and a function must not have an Eventarc trigger."
  }
  assert {
    condition = alltrue([for f in [
      google_cloudfunctions2_function.mailings, google_cloudfunctions2_function.customers, google_cloudfunctions2_function.dispatch,
      google_cloudfunctions2_function.deliver["deliver"], google_cloudfunctions2_function.deliver["deliver-small"], google_cloudfunctions2_function.deliver["messages"], google_cloudfunctions2_function.tick,
    ] : f.build_config[0].environment_variables == tomap({ GOOGLE_GOLDFLAGS = "-s -w" })])
    error_message = "Binaries must be built without symbols and debug data."
  }
  assert {
    condition     = google_artifact_registry_repository.images.format == "DOCKER" && google_artifact_registry_repository.images.location == "europe-west1" && google_artifact_registry_repository.images.cleanup_policy_dry_run == false && google_artifact_registry_repository.images.repository_id == "carillon-functions"
    error_message = "Images must be in a registry of our own with cleanup policies."
  }
  assert {
    condition     = { for p in google_artifact_registry_repository.images.cleanup_policies : p.action => "${join("", [for c in p.condition : c.older_than])}${join("", [for c in p.most_recent_versions : c.keep_count])}" } == { KEEP = "5", DELETE = "2592000s" }
    error_message = "The registry must keep the five newest images and delete others after a month."
  }
}

run "service" {
  assert {
    condition = {
      for f in [
        google_cloudfunctions2_function.mailings, google_cloudfunctions2_function.customers, google_cloudfunctions2_function.dispatch,
        google_cloudfunctions2_function.deliver["deliver"], google_cloudfunctions2_function.deliver["deliver-small"], google_cloudfunctions2_function.deliver["messages"], google_cloudfunctions2_function.tick,
        ] : f.name => join(" ", [
          f.service_config[0].ingress_settings, f.service_config[0].service_account_email, f.service_config[0].available_cpu, f.service_config[0].available_memory,
          f.service_config[0].max_instance_request_concurrency, f.service_config[0].min_instance_count, f.service_config[0].max_instance_count,
          f.service_config[0].timeout_seconds, f.service_config[0].all_traffic_on_latest_revision,
      ])
      } == {
      carillon-mailings  = "ALLOW_ALL mailings@shop-push.iam.gserviceaccount.com 1 512Mi 80 0 10 60 true"
      carillon-customers = "ALLOW_ALL customers@shop-push.iam.gserviceaccount.com 1 512Mi 80 0 10 60 true"
      carillon-dispatch  = "ALLOW_INTERNAL_ONLY dispatch@shop-push.iam.gserviceaccount.com 1 512Mi 10 0 10 300 true"
      carillon-deliver   = "ALLOW_INTERNAL_ONLY deliver@shop-push.iam.gserviceaccount.com 1 1Gi 20 0 10 120 true"
      carillon-tick      = "ALLOW_INTERNAL_ONLY tick@shop-push.iam.gserviceaccount.com 1 512Mi 20 0 2 120 true"

      carillon-deliver-small = "ALLOW_INTERNAL_ONLY deliver@shop-push.iam.gserviceaccount.com 1 1Gi 20 0 2 120 true"
      carillon-messages      = "ALLOW_INTERNAL_ONLY deliver@shop-push.iam.gserviceaccount.com 1 512Mi 200 0 2 60 true"
    }
    error_message = "Size, limits, account or ingress of a function are wrong."
  }
}

run "environment" {
  assert {
    condition = google_cloudfunctions2_function.mailings.service_config[0].environment_variables == tomap({
      GOOGLE_CLOUD_PROJECT = "shop-push", FIRESTORE_DATABASE = "carillon", LOG_LEVEL = "info", CALL_TIMEOUT = "60s"
      DISPATCH_TOPIC       = "dispatch", MESSAGES_TOPIC = "messages", FCM_ENDPOINT = "https://fcm.googleapis.com", PROOF_TOPIC = "carillon-proof"
      CALLERS              = "", REQUIRE_IDEMPOTENCY_KEY = "false", FCM_QUOTA_PER_MINUTE = "600000", FIREBASE_PROJECTS = ""
      CONSOLE_CALLER       = "", DELIVERY_DATA_APPS = ""
    })
    error_message = "The environment of mailings is wrong."
  }
  assert {
    condition = google_cloudfunctions2_function.customers.service_config[0].environment_variables == tomap({
      GOOGLE_CLOUD_PROJECT = "shop-push", FIRESTORE_DATABASE = "carillon", LOG_LEVEL = "info", CALL_TIMEOUT = "60s"
      EVENTS_TOPIC         = "push-events", MAX_TOKENS = "20", TOKEN_LIFE = "6480h", CALLERS = "", CONSOLE_CALLER = ""
    })
    error_message = "The environment of customers is wrong."
  }
  assert {
    condition = google_cloudfunctions2_function.dispatch.service_config[0].environment_variables == tomap({
      GOOGLE_CLOUD_PROJECT = "shop-push", FIRESTORE_DATABASE = "carillon", LOG_LEVEL = "info", CALL_TIMEOUT = "300s"
      DISPATCH_TOPIC       = "dispatch", DELIVER_TOPIC = "deliver", DELIVER_SMALL_TOPIC = "deliver-small", TICK_TOPIC = "tick"
      EVENTS_TOPIC         = "push-events", FCM_QUOTA_PER_MINUTE = "600000", ROSTERS_FROM_CUSTOMERS = "50000"
    })
    error_message = "The environment of dispatch is wrong."
  }
  assert {
    condition = google_cloudfunctions2_function.deliver["deliver"].service_config[0].environment_variables == google_cloudfunctions2_function.deliver["deliver-small"].service_config[0].environment_variables && google_cloudfunctions2_function.deliver["deliver"].service_config[0].environment_variables == tomap({
      GOOGLE_CLOUD_PROJECT = "shop-push", FIRESTORE_DATABASE = "carillon", LOG_LEVEL = "info", CALL_TIMEOUT = "120s"
      EVENTS_TOPIC         = "push-events", FCM_ENDPOINT = "https://fcm.googleapis.com", PROOF_TOPIC = "carillon-proof"
      FCM_QUOTA_PER_MINUTE = "600000", MAX_INSTANCES = "14", INVALID_SHARE = "0.3", FIREBASE_PROJECTS = "", FIREBASE_QUOTAS = ""
    })
    error_message = "The environment of deliver is wrong."
  }
  assert {
    condition = google_cloudfunctions2_function.tick.service_config[0].environment_variables == tomap({
      GOOGLE_CLOUD_PROJECT = "shop-push", FIRESTORE_DATABASE = "carillon", LOG_LEVEL = "info", CALL_TIMEOUT = "120s"
      DISPATCH_TOPIC       = "dispatch", DELIVER_TOPIC = "deliver", DELIVER_SMALL_TOPIC = "deliver-small", MESSAGES_TOPIC = "messages", EVENTS_TOPIC = "push-events"
      TICK_EVERY           = "60s", TOKEN_LIFE = "6480h", DELIVERY_DATA_APPS = "", DELIVERY_DATA_EVERY = "24h", FCM_DATA_ENDPOINT = "https://fcmdata.googleapis.com"
    })
    error_message = "The environment of tick is wrong."
  }
}

# Every setting has an effect: each value below differs from its default.
run "settings_arrive" {
  variables {
    database             = "push"
    log_level            = "debug"
    fcm_quota_per_minute = 1200000
    fcm_endpoint         = "https://fcm.example"
    proof_topic          = "proof"
    invalid_share        = 0.5
    max_tokens           = 7
    token_life           = "720h"
    cloud_run_vcpus      = 64 # tick: 4 times 16

    rosters_from_customers = 0
    functions = {
      mailings  = { cpu = "2", memory = "1Gi", concurrency = 11, min_instances = 1, max_instances = 12, timeout_seconds = 31 }
      customers = { cpu = "2", memory = "2Gi", concurrency = 12, min_instances = 2, max_instances = 13, timeout_seconds = 32 }
      dispatch  = { cpu = "2", memory = "4Gi", concurrency = 13, min_instances = 3, max_instances = 14, timeout_seconds = 33, ack_deadline_seconds = 34, max_delivery_attempts = 6 }
      deliver   = { cpu = "4", memory = "8Gi", concurrency = 14, min_instances = 4, max_instances = 15, timeout_seconds = 35, ack_deadline_seconds = 36, max_delivery_attempts = 7 }
      tick      = { cpu = "4", memory = "2Gi", concurrency = 15, min_instances = 5, max_instances = 16, timeout_seconds = 97, ack_deadline_seconds = 98, max_delivery_attempts = 8 }

      deliver-small = { cpu = "2", memory = "2Gi", concurrency = 16, min_instances = 1, max_instances = 5, timeout_seconds = 39, ack_deadline_seconds = 40, max_delivery_attempts = 9 }
      messages      = { cpu = "2", memory = "1Gi", concurrency = 99, min_instances = 1, max_instances = 4, timeout_seconds = 41, ack_deadline_seconds = 42, max_delivery_attempts = 10 }
    }
  }
  assert {
    condition = {
      for f in [
        google_cloudfunctions2_function.mailings, google_cloudfunctions2_function.customers, google_cloudfunctions2_function.dispatch,
        google_cloudfunctions2_function.deliver["deliver"], google_cloudfunctions2_function.deliver["deliver-small"], google_cloudfunctions2_function.deliver["messages"], google_cloudfunctions2_function.tick,
        ] : f.name => join(" ", [
          f.service_config[0].available_cpu, f.service_config[0].available_memory, f.service_config[0].max_instance_request_concurrency,
          f.service_config[0].min_instance_count, f.service_config[0].max_instance_count, f.service_config[0].timeout_seconds,
          f.service_config[0].environment_variables["CALL_TIMEOUT"], f.service_config[0].environment_variables["LOG_LEVEL"],
          f.service_config[0].environment_variables["FIRESTORE_DATABASE"],
      ])
      } == {
      carillon-mailings  = "2 1Gi 11 1 12 31 31s debug push"
      carillon-customers = "2 2Gi 12 2 13 32 32s debug push"
      carillon-dispatch  = "2 4Gi 13 3 14 33 33s debug push"
      carillon-deliver   = "4 8Gi 14 4 15 35 35s debug push"
      carillon-tick      = "4 2Gi 15 5 16 97 97s debug push"

      carillon-deliver-small = "2 2Gi 16 1 5 39 39s debug push"
      carillon-messages      = "2 1Gi 99 1 4 41 41s debug push"
    }
    error_message = "A setting of a function has no effect."
  }
  assert {
    condition     = { for n, s in google_pubsub_subscription.work : n => "${s.ack_deadline_seconds} ${s.dead_letter_policy[0].max_delivery_attempts}" } == { dispatch = "34 6", deliver = "36 7", deliver-small = "40 9", messages = "42 10", tick = "98 8" } && { for n, s in google_pubsub_subscription.given_up : n => s.ack_deadline_seconds } == { deliver = 36, deliver-small = 40, messages = 42 }
    error_message = "Ack deadlines or delivery attempts have no effect."
  }
  assert {
    condition = (
      google_cloudfunctions2_function.mailings.service_config[0].environment_variables["FCM_ENDPOINT"] == "https://fcm.example" &&
      google_cloudfunctions2_function.mailings.service_config[0].environment_variables["PROOF_TOPIC"] == "proof" &&
      google_cloudfunctions2_function.customers.service_config[0].environment_variables["MAX_TOKENS"] == "7" &&
      google_cloudfunctions2_function.customers.service_config[0].environment_variables["TOKEN_LIFE"] == "720h" &&
      google_cloudfunctions2_function.dispatch.service_config[0].environment_variables["FCM_QUOTA_PER_MINUTE"] == "1200000" &&
      google_cloudfunctions2_function.dispatch.service_config[0].environment_variables["ROSTERS_FROM_CUSTOMERS"] == "0" &&
      google_cloudfunctions2_function.deliver["deliver"].service_config[0].environment_variables["FCM_ENDPOINT"] == "https://fcm.example" &&
      google_cloudfunctions2_function.deliver["deliver"].service_config[0].environment_variables["PROOF_TOPIC"] == "proof" &&
      google_cloudfunctions2_function.deliver["deliver"].service_config[0].environment_variables["FCM_QUOTA_PER_MINUTE"] == "1200000" &&
      google_cloudfunctions2_function.deliver["deliver"].service_config[0].environment_variables["MAX_INSTANCES"] == "24" &&
      google_cloudfunctions2_function.deliver["deliver"].service_config[0].environment_variables["INVALID_SHARE"] == "0.5" &&
      google_cloudfunctions2_function.tick.service_config[0].environment_variables["TOKEN_LIFE"] == "720h"
    )
    error_message = "A setting is missing in the environment."
  }
  assert {
    condition     = output.vcpus == 2 * 12 + 2 * 13 + 2 * 14 + 4 * 15 + 4 * 16 + 2 * 5 + 2 * 4
    error_message = "The vCPUs must be those of all functions at their maximum."
  }
  assert {
    condition     = output.send_rate == { quota = 1200000, instances = 24, per_instance = 50000 } && output.send_rate.instances * output.send_rate.per_instance <= 1200000
    error_message = "The rates of all instances together are above the quota."
  }
}

run "callers_of_a_token_check" {
  variables {
    callers     = { "crm@shop.example" = ["send"], "scheduler@shop-push.iam.gserviceaccount.com" = ["read"] }
    token_check = { enabled = true }
  }
  assert {
    condition     = jsondecode(google_cloudfunctions2_function.mailings.service_config[0].environment_variables["CALLERS"]) == { "crm@shop.example" = ["send"], "scheduler@shop-push.iam.gserviceaccount.com" = ["read", "send"] }
    error_message = "With callers, the account that starts the token check must have the permission to send."
  }
  assert {
    condition     = jsondecode(google_cloudfunctions2_function.customers.service_config[0].environment_variables["CALLERS"]) == { "crm@shop.example" = ["send"], "scheduler@shop-push.iam.gserviceaccount.com" = ["read"] }
    error_message = "The account of the token check must have no new permission in customers."
  }
}

run "callers_without_a_token_check" {
  variables {
    callers = { "crm@shop.example" = ["send"] }
  }
  assert {
    condition     = jsondecode(google_cloudfunctions2_function.mailings.service_config[0].environment_variables["CALLERS"]) == { "crm@shop.example" = ["send"] }
    error_message = "Without a token check the account of Cloud Scheduler must have no permission."
  }
}

run "devices_off" {
  assert {
    condition     = length(google_cloudfunctions2_function.devices) == 0 && length(google_service_account.devices) == 0 && length(google_cloud_run_v2_service_iam_member.public) == 0 && !contains(keys(google_project_iam_member.datastore), "devices") && output.devices_url == null && length(google_project_iam_custom_role.accounts) == 0
    error_message = "The public function must be off by default."
  }
}

run "devices_on" {
  variables {
    source_root = "./tests/testdata/with-devices"
    devices = {
      enabled         = true, customer_claim = "sub", tenant = "riga-1", check_revoked = true
      allowed_origins = ["https://shop.example", "http://localhost:3000"]

      registrations_per_hour = 7, registrations_per_day = 70, moves_per_hour = 1, moves_per_day = 2, events_per_hour = 700
    }
    functions = { devices = { max_instances = 3, timeout_seconds = 20 } }
  }
  expect_failures = [check.devices_is_public]
  assert {
    condition = google_cloudfunctions2_function.devices[0].service_config[0].environment_variables == tomap({
      GOOGLE_CLOUD_PROJECT = "shop-push", FIRESTORE_DATABASE = "carillon", LOG_LEVEL = "info", CALL_TIMEOUT = "20s"
      EVENTS_TOPIC         = "push-events", MAX_TOKENS = "20", TOKEN_LIFE = "6480h", CUSTOMER_CLAIM = "sub"
      AUTH_TENANT          = "riga-1", CHECK_REVOKED = "true", ALLOWED_ORIGINS = "https://shop.example,http://localhost:3000", APP_CHECK = "off"

      REGISTRATIONS_PER_HOUR = "7", REGISTRATIONS_PER_DAY = "70", MOVES_PER_HOUR = "1", MOVES_PER_DAY = "2", EVENTS_PER_HOUR = "700"
    })
    error_message = "The environment of devices is wrong."
  }
  assert {
    condition     = google_project_iam_custom_role.accounts[0].permissions == toset(["firebaseauth.users.get"]) && google_project_iam_member.accounts[0].role == google_project_iam_custom_role.accounts[0].name && google_project_iam_member.accounts[0].member == "serviceAccount:devices@shop-push.iam.gserviceaccount.com" && contains(keys(google_project_service.this), "identitytoolkit.googleapis.com")
    error_message = "devices must have only the permission to look up accounts."
  }
  assert {
    condition = join(" ", [
      for f in google_cloudfunctions2_function.devices : "${f.name} ${f.build_config[0].environment_variables.GOOGLE_GOLDFLAGS} ${f.build_config[0].entry_point} ${f.build_config[0].runtime} ${f.build_config[0].service_account} ${f.build_config[0].docker_repository} ${f.build_config[0].source[0].storage_source[0].bucket} ${f.build_config[0].source[0].storage_source[0].object} ${f.location} ${f.service_config[0].all_traffic_on_latest_revision} ${f.service_config[0].ingress_settings} ${f.service_config[0].service_account_email} ${f.service_config[0].available_cpu} ${f.service_config[0].available_memory} ${f.service_config[0].max_instance_request_concurrency} ${f.service_config[0].min_instance_count} ${f.service_config[0].max_instance_count} ${f.service_config[0].timeout_seconds}"
    ]) == "carillon-devices -s -w devices go126 projects/shop-push/serviceAccounts/build@shop-push.iam.gserviceaccount.com projects/shop-push/locations/europe-west1/repositories/carillon-functions carillon-source-123456789012-europe-west1 devices-c0ffee.zip europe-west1 true ALLOW_ALL devices@shop-push.iam.gserviceaccount.com 1 512Mi 80 0 3 20"
    error_message = "The deployment of devices is wrong."
  }
  assert {
    condition     = length(google_cloud_run_v2_service_iam_member.public) == 1 && length(google_service_account.devices) == 1 && google_cloud_run_v2_service_iam_member.public[0].member == "allUsers" && google_cloud_run_v2_service_iam_member.public[0].role == "roles/run.invoker" && google_cloud_run_v2_service_iam_member.public[0].name == "carillon-devices" && google_cloud_run_v2_service_iam_member.public[0].location == "europe-west1" && google_cloud_run_v2_service_iam_member.public[0].project == "shop-push"
    error_message = "devices must be the only function that everyone may call."
  }
  assert {
    condition     = google_project_iam_member.datastore["devices"].role == "roles/datastore.user" && google_service_account.devices[0].account_id == "carillon-devices" && google_project_iam_member.datastore["devices"].member == "serviceAccount:devices@shop-push.iam.gserviceaccount.com" && google_pubsub_topic_iam_member.publisher["devices/push-events"].member == "serviceAccount:devices@shop-push.iam.gserviceaccount.com"
    error_message = "devices must have roles for the database and the topic of events."
  }
  assert {
    condition     = output.devices_url == "https://devices.run.app" && output.service_accounts["devices"] == "devices@shop-push.iam.gserviceaccount.com"
    error_message = "The outputs do not contain devices."
  }
}

run "devices_without_questions" {
  variables {
    source_root = "./tests/testdata/with-devices"
    devices     = { enabled = true }
  }
  expect_failures = [check.devices_is_public]
  assert {
    condition = google_cloudfunctions2_function.devices[0].service_config[0].environment_variables == tomap({
      GOOGLE_CLOUD_PROJECT = "shop-push", FIRESTORE_DATABASE = "carillon", LOG_LEVEL = "info", CALL_TIMEOUT = "30s"
      EVENTS_TOPIC         = "push-events", MAX_TOKENS = "20", TOKEN_LIFE = "6480h", CUSTOMER_CLAIM = "uid"
      AUTH_TENANT          = "", CHECK_REVOKED = "false", ALLOWED_ORIGINS = "", APP_CHECK = "off"

      REGISTRATIONS_PER_HOUR = "60", REGISTRATIONS_PER_DAY = "300", MOVES_PER_HOUR = "5", MOVES_PER_DAY = "10", EVENTS_PER_HOUR = "600"
    })
    error_message = "The default environment of devices is wrong."
  }
  assert {
    condition     = length(google_project_iam_custom_role.accounts) == 0 && length(google_project_iam_member.accounts) == 0 && !contains(keys(google_project_service.this), "identitytoolkit.googleapis.com")
    error_message = "Without check_revoked, devices must not have the role to look up accounts."
  }
}

run "console_off" {
  assert {
    condition     = length(google_cloudfunctions2_function.console) == 0 && length(google_service_account.console) == 0 && length(google_cloud_run_v2_service_iam_member.console) == 0 && length(google_cloud_run_v2_service_iam_member.iap) == 0 && length(google_cloud_run_v2_service_iam_member.people) == 0 && output.console_url == null && !contains(keys(google_project_service.this), "iap.googleapis.com")
    error_message = "Without console.enabled there must be no console."
  }
}

run "console_on" {
  variables {
    source_root = "./tests/testdata/with-devices"
    console     = { enabled = true, look = ["@shop.example"], send = ["boss@shop.example"] }
  }
  assert {
    condition = google_cloudfunctions2_function.console[0].service_config[0].environment_variables == tomap({
      GOOGLE_CLOUD_PROJECT = "shop-push", FIRESTORE_DATABASE = "carillon", LOG_LEVEL = "info", CALL_TIMEOUT = "300s"
      CONSOLE_IDENTITY     = "iap", CONSOLE_LOOK = "@shop.example", CONSOLE_SEND = "boss@shop.example"
      MAILINGS_URL         = "https://mailings.run.app", CUSTOMERS_URL = "https://customers.run.app"
      IAP_AUDIENCE         = "/projects/${data.google_project.this.number}/locations/europe-west1/services/carillon-console"
    })
    error_message = "The environment of console is wrong."
  }
  assert {
    condition     = google_cloudfunctions2_function.mailings.service_config[0].environment_variables.CONSOLE_CALLER == "console@shop-push.iam.gserviceaccount.com" && google_cloudfunctions2_function.customers.service_config[0].environment_variables.CONSOLE_CALLER == "console@shop-push.iam.gserviceaccount.com"
    error_message = "mailings and customers must know the account of the console."
  }
  assert {
    condition = { for name, m in google_cloud_run_v2_service_iam_member.console : name => "${m.name} ${m.role} ${m.member}" } == {
      mailings  = "carillon-mailings roles/run.invoker serviceAccount:console@shop-push.iam.gserviceaccount.com"
      customers = "carillon-customers roles/run.invoker serviceAccount:console@shop-push.iam.gserviceaccount.com"
    } && !contains(keys(google_project_iam_member.datastore), "console") && alltrue([for p in google_pubsub_topic_iam_member.publisher : p.member != "serviceAccount:console@shop-push.iam.gserviceaccount.com"])
    error_message = "The account of the console may only call mailings and customers."
  }
  assert {
    condition     = google_cloud_run_v2_service_iam_member.iap[0].name == "carillon-console" && google_cloud_run_v2_service_iam_member.iap[0].role == "roles/run.invoker" && google_cloud_run_v2_service_iam_member.iap[0].member == "serviceAccount:service-${data.google_project.this.number}@gcp-sa-iap.iam.gserviceaccount.com" && length(google_cloud_run_v2_service_iam_member.people) == 0 && length(google_cloud_run_v2_service_iam_member.public) == 0
    error_message = "Only Identity-Aware Proxy may call the console."
  }
  assert {
    condition     = google_cloudfunctions2_function.console[0].name == "carillon-console" && google_cloudfunctions2_function.console[0].build_config[0].entry_point == "console" && google_cloudfunctions2_function.console[0].service_config[0].service_account_email == "console@shop-push.iam.gserviceaccount.com" && google_cloudfunctions2_function.console[0].service_config[0].max_instance_count == 2 && output.console_url == "https://console.run.app" && output.service_accounts["console"] == "console@shop-push.iam.gserviceaccount.com" && contains(keys(google_project_service.this), "iap.googleapis.com")
    error_message = "The deployment of console is wrong."
  }
}

run "console_through_the_proxy" {
  variables {
    source_root = "./tests/testdata/with-devices"
    console     = { enabled = true, identity = "proxy", send = ["boss@shop.example"], people = ["user:boss@shop.example"] }
  }
  assert {
    condition     = google_cloud_run_v2_service_iam_member.people["user:boss@shop.example"].role == "roles/run.invoker" && google_cloud_run_v2_service_iam_member.people["user:boss@shop.example"].name == "carillon-console" && length(google_cloud_run_v2_service_iam_member.iap) == 0 && google_cloudfunctions2_function.console[0].service_config[0].environment_variables.CONSOLE_IDENTITY == "proxy"
    error_message = "With proxy, the people must be the only ones who may call the console."
  }
}

run "devices_without_source" {
  command = plan
  variables {
    devices = { enabled = true }
  }
  expect_failures = [google_cloudfunctions2_function.devices, check.devices_is_public]
}

run "quota_too_small_for_the_instances" {
  command = plan
  variables {
    fcm_quota_per_minute = 8390
  }
  expect_failures = [google_cloudfunctions2_function.deliver]
}

run "quota_just_enough_for_the_instances" {
  command = plan
  variables {
    fcm_quota_per_minute = 8400
  }
}

run "quota_of_a_project_too_small_for_the_instances" {
  command = plan
  variables {
    firebase_projects = { pharmacy = "pharmacy-prod" }
    firebase_quotas   = { pharmacy-prod = 8390 }
  }
  expect_failures = [google_cloudfunctions2_function.deliver]
}

run "projects_of_apps" {
  variables {
    firebase_projects = { "com.shop" = "shop-push", "com.pharmacy" = "pharmacy-prod", "*" = "kiosk-prod" }
    firebase_quotas   = { "pharmacy-prod" = 60000 }
  }
  assert {
    condition = alltrue(concat(
      [for f in google_cloudfunctions2_function.deliver : f.service_config[0].environment_variables["FIREBASE_PROJECTS"] == "*=kiosk-prod,com.pharmacy=pharmacy-prod,com.shop=shop-push"],
      [for f in google_cloudfunctions2_function.deliver : f.service_config[0].environment_variables["FIREBASE_QUOTAS"] == "pharmacy-prod=60000"],
      [google_cloudfunctions2_function.mailings.service_config[0].environment_variables["FIREBASE_PROJECTS"] == "*=kiosk-prod,com.pharmacy=pharmacy-prod,com.shop=shop-push"],
    ))
    error_message = "The projects of the apps are missing in the environment."
  }
  assert {
    # 600,000 of the own project, as much of the kiosk, and 60,000 of the pharmacy
    condition     = google_cloudfunctions2_function.dispatch.service_config[0].environment_variables["FCM_QUOTA_PER_MINUTE"] == "1260000"
    error_message = "dispatch must prepare batches for the quotas of all projects."
  }
}

run "delivery_data" {
  variables {
    delivery_data_apps = { "shop-push" = ["1:12:android:0a", "1:12:android:0b"], "pharmacy-prod" = ["1:34:android:0c"] }
  }
  assert {
    condition     = google_cloudfunctions2_function.tick.service_config[0].environment_variables["DELIVERY_DATA_APPS"] == "projects/pharmacy-prod/androidApps/1:34:android:0c,projects/shop-push/androidApps/1:12:android:0a,projects/shop-push/androidApps/1:12:android:0b"
    error_message = "tick must fetch the delivery data of every app."
  }
  assert {
    condition     = google_cloudfunctions2_function.mailings.service_config[0].environment_variables["DELIVERY_DATA_APPS"] == google_cloudfunctions2_function.tick.service_config[0].environment_variables["DELIVERY_DATA_APPS"]
    error_message = "mailings must show what tick fetches."
  }
}

run "quota_that_cannot_be_used" {
  command = plan
  variables {
    fcm_quota_per_minute = 12600014
  }
  expect_failures = [check.quota_can_be_used]
}

run "no_checkout" {
  command = plan
  variables {
    source_root = "./tests/mocks"
  }
  expect_failures = [data.archive_file.source]
}
