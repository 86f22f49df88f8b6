# Wrong values that neither validate nor a plan finds. Each run sets several variables to
# wrong values, and the validation of each variable must refuse its value.

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

run "refused_1" {
  command = plan
  variables {
    project_id            = "Shop"
    region                = "europe-west5"
    firestore_location    = "eur4"
    scheduler_region      = "eur3"
    prefix                = "Ca"
    topic_prefix          = "staging"
    labels                = { Team = "x" }
    database              = "Push"
    backup_retention      = "7d"
    backoff               = { minimum = "10" }
    message_retention     = "7d"
    invokers              = { mailings = ["allUsers"] }
    fcm_quota_per_minute  = 599
    fcm_endpoint          = "http://fcm.googleapis.com"
    proof_topic           = "a b"
    invalid_share         = 0
    max_tokens            = 0
    token_life            = "270d"
    log_level             = "INFO"
    devices               = { customer_claim = "" }
    token_check           = { schedule = "61 * * * *" }
    bigquery              = { dataset = "my-data" }
    alert_emails          = ["ops"]
    notification_channels = ["12345"]
    alerts                = { oldest_message_seconds = 59 }
    budget                = { billing_account = "12345", amount = 5 }
    functions             = { mailings = { cpu = "0.5" } }

    rosters_from_customers = -1
  }
  expect_failures = [var.project_id, var.region, var.firestore_location, var.scheduler_region, var.prefix, var.topic_prefix, var.labels, var.database, var.backup_retention, var.backoff, var.message_retention, var.invokers, var.fcm_quota_per_minute, var.fcm_endpoint, var.proof_topic, var.invalid_share, var.rosters_from_customers, var.max_tokens, var.token_life, var.log_level, var.devices, var.token_check, var.bigquery, var.alert_emails, var.notification_channels, var.alerts, var.budget, var.functions]
}

run "refused_2" {
  command = plan
  variables {
    project_id           = "shop"
    region               = "us-central"
    firestore_location   = "europe-west5"
    scheduler_region     = "us-centrall1"
    prefix               = "c"
    labels               = { team = "CRM" }
    database             = "abc"
    backup_retention     = "604800"
    backoff              = { maximum = "601s" }
    message_retention    = "599s"
    invokers             = { customers = ["allAuthenticatedUsers"] }
    fcm_quota_per_minute = 1000000001
    fcm_endpoint         = "https://fcm.googleapis.com/v1"
    proof_topic          = ""
    invalid_share        = 1.1
    max_tokens           = 101
    token_life           = "23h"
    log_level            = "warn"
    devices              = { customer_claim = "a b" }
    token_check          = { schedule = "* * * *" }
    bigquery             = { location = "EUR" }
    alert_emails         = ["ops@shop"]
    alerts               = { oldest_message_seconds = 86401 }
    budget               = { billing_account = "012345-6789AB-CDEF01", amount = 0 }
    functions            = { mailings = { cpu = "3" } }

    rosters_from_customers = 1000000001
  }
  expect_failures = [var.project_id, var.region, var.firestore_location, var.scheduler_region, var.prefix, var.labels, var.database, var.backup_retention, var.backoff, var.message_retention, var.invokers, var.fcm_quota_per_minute, var.fcm_endpoint, var.proof_topic, var.invalid_share, var.rosters_from_customers, var.max_tokens, var.token_life, var.log_level, var.devices, var.token_check, var.bigquery, var.alert_emails, var.alerts, var.budget, var.functions]
}

run "refused_3" {
  command = plan
  variables {
    project_id           = "123456-shop"
    region               = "europe-wset1"
    prefix               = "carillon-for-the-shop"
    labels               = { "1a" = "x" }
    database             = "default_"
    backup_retention     = "86399s"
    backoff              = { minimum = "60s", maximum = "30s" }
    message_retention    = "2678401s"
    invokers             = { mailings = ["anna@shop.example"] }
    fcm_quota_per_minute = 6000.5
    fcm_endpoint         = "fcm.googleapis.com"
    proof_topic          = "/topics/x"
    max_tokens           = 1.5
    token_life           = "87601h"
    token_check          = { schedule = "0 24 * * *" }
    bigquery             = { keep_days = 0 }
    alerts               = { error_share = 0 }
    budget               = { billing_account = "012345-6789AB-CDEF01", amount = 1.5 }
    functions            = { customers = { cpu = "1000m" } }

    rosters_from_customers = 0.5
  }
  expect_failures = [var.project_id, var.region, var.prefix, var.labels, var.database, var.backup_retention, var.backoff, var.message_retention, var.invokers, var.fcm_quota_per_minute, var.fcm_endpoint, var.proof_topic, var.rosters_from_customers, var.max_tokens, var.token_life, var.token_check, var.bigquery, var.alerts, var.budget, var.functions]
}

run "refused_4" {
  command = plan
  variables {
    project_id        = "shop-push-"
    region            = "eur3"
    prefix            = "carillon_x"
    database          = "push_1"
    backup_retention  = "8467201s"
    backoff           = { minimum = "1m" }
    message_retention = "604800"
    invokers          = { customers = ["domain:shop.example"] }
    token_life        = "6480"
    token_check       = { schedule = "0 4 0 * *" }
    bigquery          = { keep_days = 3651 }
    alerts            = { error_share = 1 }
    budget            = { billing_account = "012345-6789AB-CDEF01", amount = 5, currency = "euro" }
    functions         = { customers = { memory = "512M" } }
  }
  expect_failures = [var.project_id, var.region, var.prefix, var.database, var.backup_retention, var.backoff, var.message_retention, var.invokers, var.token_life, var.token_check, var.bigquery, var.alerts, var.budget, var.functions]
}

run "refused_5" {
  command = plan
  variables {
    region      = ""
    prefix      = "carillon-"
    backoff     = { maximum = "ten" }
    invokers    = { mailings = ["user:anna"] }
    token_check = { schedule = "0 4 * 13 *" }
    bigquery    = { keep_days = 1.5 }
    functions   = { dispatch = { memory = "512" } }
  }
  expect_failures = [var.region, var.prefix, var.backoff, var.invokers, var.token_check, var.bigquery, var.functions]
}

run "refused_6" {
  command = plan
  variables {
    invokers    = { customers = ["principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/shop/*"] }
    token_check = { schedule = "0 4 * * 8" }
    functions   = { dispatch = { memory = "512MB" } }
  }
  expect_failures = [var.invokers, var.token_check, var.functions]
}

run "refused_7" {
  command = plan
  variables {
    token_check = { schedule = "every 5 minutes" }
    functions   = { deliver = { memory = "8Gi" } }
  }
  expect_failures = [var.token_check, var.functions]
}

run "refused_8" {
  command = plan
  variables {
    token_check     = { schedule = "0 4 * * 1 *" }
    cloud_run_vcpus = 80
    functions       = { deliver = { cpu = "4" } }
  }
  expect_failures = [var.token_check, var.functions]
}

run "refused_9" {
  command = plan
  variables {
    token_check     = { schedule = "0 4 * * tues" }
    cloud_run_vcpus = 80
    functions       = { deliver = { cpu = "8", memory = "2Gi" } }
  }
  expect_failures = [var.token_check, var.functions]
}

run "refused_10" {
  command = plan
  variables {
    token_check = { time_zone = "riga" }
    functions   = { mailings = { concurrency = 0 } }
  }
  expect_failures = [var.token_check, var.functions]
}

run "refused_11" {
  command = plan
  variables {
    token_check = { time_zone = "UTC+2 " }
    functions   = { mailings = { concurrency = 1001 } }
  }
  expect_failures = [var.token_check, var.functions]
}

run "refused_12" {
  command = plan
  variables {
    token_check = { schedule = "*/0 * * * *" }
    functions   = { mailings = { concurrency = 1.5 } }
  }
  expect_failures = [var.token_check, var.functions]
}

run "refused_13" {
  command = plan
  variables {
    token_check = { schedule = "" }
    functions   = { mailings = { min_instances = -1 } }
  }
  expect_failures = [var.token_check, var.functions]
}

run "refused_14" {
  command = plan
  variables {
    functions = { mailings = { min_instances = 0.5 } }
  }
  expect_failures = [var.functions]
}

run "refused_15" {
  command = plan
  variables {
    functions = { mailings = { max_instances = 0 } }
  }
  expect_failures = [var.functions]
}

run "refused_16" {
  command = plan
  variables {
    cloud_run_vcpus = 2000
    functions       = { mailings = { max_instances = 1001 } }
  }
  expect_failures = [var.functions]
}

run "refused_17" {
  command = plan
  variables {
    functions = { mailings = { max_instances = 1.5 } }
  }
  expect_failures = [var.functions]
}

run "refused_18" {
  command = plan
  variables {
    functions = { deliver = { min_instances = 11 } }
  }
  expect_failures = [var.functions]
}

run "refused_19" {
  command = plan
  variables {
    functions = { devices = { min_instances = 6 } }
  }
  expect_failures = [var.functions]
}

run "refused_20" {
  command = plan
  variables {
    functions = { mailings = { timeout_seconds = 9 } }
  }
  expect_failures = [var.functions]
}

run "refused_21" {
  command = plan
  variables {
    functions = { customers = { timeout_seconds = 3601 } }
  }
  expect_failures = [var.functions]
}

run "refused_22" {
  command = plan
  variables {
    functions = { customers = { timeout_seconds = 10.5 } }
  }
  expect_failures = [var.functions]
}

run "refused_23" {
  command = plan
  variables {
    functions = { dispatch = { timeout_seconds = 29 } }
  }
  expect_failures = [var.functions]
}

run "refused_24" {
  command = plan
  variables {
    functions = { deliver = { timeout_seconds = 29 } }
  }
  expect_failures = [var.functions]
}

run "refused_25" {
  command = plan
  variables {
    functions = { tick = { timeout_seconds = 29 } }
  }
  expect_failures = [var.functions]
}

run "refused_26" {
  command = plan
  variables {
    functions = { dispatch = { ack_deadline_seconds = 601 } }
  }
  expect_failures = [var.functions]
}

run "refused_27" {
  command = plan
  variables {
    functions = { deliver = { ack_deadline_seconds = 601 } }
  }
  expect_failures = [var.functions]
}

run "refused_28" {
  command = plan
  variables {
    functions = { tick = { ack_deadline_seconds = 601 } }
  }
  expect_failures = [var.functions]
}

run "refused_29" {
  command = plan
  variables {
    functions = { tick = { ack_deadline_seconds = 90.5 } }
  }
  expect_failures = [var.functions]
}

run "refused_30" {
  command = plan
  variables {
    functions = { dispatch = { ack_deadline_seconds = 300 } }
  }
  expect_failures = [var.functions]
}

run "refused_31" {
  command = plan
  variables {
    functions = { deliver = { ack_deadline_seconds = 120 } }
  }
  expect_failures = [var.functions]
}

run "refused_32" {
  command = plan
  variables {
    functions = { tick = { timeout_seconds = 150 } }
  }
  expect_failures = [var.functions]
}

run "refused_33" {
  command = plan
  variables {
    functions = { dispatch = { max_delivery_attempts = 4 } }
  }
  expect_failures = [var.functions]
}

run "refused_34" {
  command = plan
  variables {
    functions = { deliver = { max_delivery_attempts = 101 } }
  }
  expect_failures = [var.functions]
}

run "refused_35" {
  command = plan
  variables {
    functions = { tick = { max_delivery_attempts = 4 } }
  }
  expect_failures = [var.functions]
}

run "refused_36" {
  command = plan
  variables {
    functions = { tick = { max_delivery_attempts = 5.5 } }
  }
  expect_failures = [var.functions]
}

run "token_check_and_required_keys" {
  command = plan
  variables {
    token_check             = { enabled = true }
    require_idempotency_key = true
  }
  expect_failures = [var.require_idempotency_key]
}

run "required_keys_alone" {
  command = plan
  variables {
    require_idempotency_key = true
  }
  assert {
    condition     = google_cloudfunctions2_function.mailings.service_config[0].environment_variables["REQUIRE_IDEMPOTENCY_KEY"] == "true"
    error_message = "The setting must arrive."
  }
}

run "taken_1" {
  command = plan
  variables {
    project_id           = "a12345"
    region               = "us-central1"
    firestore_location   = "nam5"
    scheduler_region     = "us-east1"
    prefix               = "abc"
    labels               = { team_1 = "" }
    database             = "abcd"
    backup_retention     = "86400s"
    backoff              = { minimum = "0s", maximum = "600s" }
    message_retention    = "600s"
    invokers             = { mailings = ["principal://iam.googleapis.com/x"] }
    fcm_quota_per_minute = 1800
    proof_topic          = "a"
    invalid_share        = 0.01
    max_tokens           = 1
    token_life           = "24h"
    log_level            = "info"
    devices              = { customer_claim = "https://shop.example/customer", allowed_origins = ["https://m.shop.example:8443"] }
    token_check          = { schedule = "*/5 0-6,22 1,15 jan-MAR mon-fri" }
    bigquery             = { location = "EU", keep_days = 1 }
    alerts               = { oldest_message_seconds = 60, error_share = 0.001 }
    budget               = { billing_account = "012345-6789AB-CDEF01", amount = 1 }
    cloud_run_vcpus      = 8000 # the most: cpu = 8, max_instances = 1000
    functions            = { mailings = { cpu = "8", memory = "32Gi", concurrency = 1000, max_instances = 1000, timeout_seconds = 3600 }, deliver = { max_instances = 1, timeout_seconds = 599, ack_deadline_seconds = 600, max_delivery_attempts = 100 }, deliver-small = { max_instances = 1 }, messages = { max_instances = 1 }, dispatch = { cpu = "6", memory = "4Gi", timeout_seconds = 30, ack_deadline_seconds = 31, max_delivery_attempts = 5 } }

    rosters_from_customers = 0
  }
}

run "taken_2" {
  command = plan
  variables {
    project_id           = "a23456789-123456789-123456789z"
    region               = "europe-west12"
    firestore_location   = "eur3"
    scheduler_region     = "europe-west1"
    prefix               = "carillon-eighteenx"
    labels               = { a-b = "1" }
    database             = "push-1"
    backup_retention     = "8467200s"
    backoff              = { minimum = "600s" }
    message_retention    = "2678400s"
    invokers             = { mailings = ["principalSet://iam.googleapis.com/x"] }
    fcm_quota_per_minute = 1000000000
    proof_topic          = "A-b_c.d~e%20"
    invalid_share        = 1
    max_tokens           = 100
    token_life           = "87600h"
    log_level            = "info"
    devices              = { customer_claim = "sub" }
    token_check          = { schedule = "59 23 31 12 7", time_zone = "America/Argentina/Buenos_Aires" }
    bigquery             = { location = "europe-west1", keep_days = 3650 }
    alerts               = { oldest_message_seconds = 86400, error_share = 0.999 }
    budget               = { billing_account = "000000-000000-000000", amount = 5, currency = "EUR" }
    cloud_run_vcpus      = 8000
    functions            = { mailings = { cpu = "1", memory = "128Mi", concurrency = 1, min_instances = 1, max_instances = 1, timeout_seconds = 10 }, deliver = { cpu = "8", memory = "4Gi", max_instances = 1000 }, dispatch = { cpu = "1", memory = "4Gi" }, tick = { cpu = "2", memory = "8Gi" } }

    rosters_from_customers = 1000000000
  }
}

run "taken_3" {
  command = plan
  variables {
    project_id           = "shop-push"
    region               = "me-west1"
    firestore_location   = "us-west4"
    scheduler_region     = null
    prefix               = "a-1"
    labels               = {}
    database             = "abc-1"
    backup_retention     = "1209600s"
    backoff              = { minimum = "30s", maximum = "30s" }
    message_retention    = "86400s"
    invokers             = { customers = ["group:a@b.example"] }
    fcm_quota_per_minute = 2400
    proof_topic          = "x"
    invalid_share        = 0.5
    max_tokens           = 5
    token_life           = "100h"
    log_level            = "debug"
    devices              = {}
    token_check          = { schedule = "0 0 1 1 0", time_zone = "UTC" }
    bigquery             = { dataset = "A_1" }
    alerts               = {}
    budget               = null
    cloud_run_vcpus      = 20 # dispatch: 2 times 10
    functions            = { deliver = { max_instances = 2, cpu = "4", memory = "16Gi" }, deliver-small = { max_instances = 1 }, messages = { max_instances = 1 }, dispatch = { cpu = "2", memory = "256Mi" }, tick = { cpu = "6", memory = "16Gi" } }
  }
}

run "console_refused_1" {
  command = plan
  variables {
    console = { identity = "laptop" }
  }
  expect_failures = [var.console]
}

run "console_refused_2" {
  command = plan
  variables {
    console = { send = ["*@shop.example"] }
  }
  expect_failures = [var.console]
}

run "console_refused_3" {
  command = plan
  variables {
    console = { look = ["shop.example"] }
  }
  expect_failures = [var.console]
}

run "console_refused_4" {
  command = plan
  variables {
    console = { people = ["allUsers"] }
  }
  expect_failures = [var.console]
}

run "devices_refused_1" {
  command = plan
  variables {
    devices = { customer_claim = "email" }
  }
  expect_failures = [var.devices]
}

run "devices_refused_2" {
  command = plan
  variables {
    devices = { allowed_origins = ["*"] }
  }
  expect_failures = [var.devices]
}

run "devices_refused_3" {
  command = plan
  variables {
    devices = { allowed_origins = ["https://shop.example/"] }
  }
  expect_failures = [var.devices]
}

run "devices_refused_4" {
  command = plan
  variables {
    devices = { allowed_origins = ["https://shop.example", "http://shop.example"] }
  }
  expect_failures = [var.devices]
}

run "devices_refused_5" {
  command = plan
  variables {
    devices = { registrations_per_hour = 0 }
  }
  expect_failures = [var.devices]
}

run "devices_refused_6" {
  command = plan
  variables {
    devices = { registrations_per_day = 1000001 }
  }
  expect_failures = [var.devices]
}

run "devices_refused_7" {
  command = plan
  variables {
    devices = { moves_per_hour = 0 }
  }
  expect_failures = [var.devices]
}

run "devices_refused_8" {
  command = plan
  variables {
    devices = { moves_per_day = 1.5 }
  }
  expect_failures = [var.devices]
}

run "refused_projects_1" {
  command = plan
  variables {
    firebase_projects = { "com.shop,x" = "shop-prod" }
    firebase_quotas   = {}
  }
  expect_failures = [var.firebase_projects]
}

run "refused_projects_2" {
  command = plan
  variables {
    firebase_projects = { "a=b" = "shop-prod" }
    firebase_quotas   = {}
  }
  expect_failures = [var.firebase_projects]
}

run "refused_projects_3" {
  command = plan
  variables {
    firebase_projects = { " com.shop" = "shop-prod" }
    firebase_quotas   = {}
  }
  expect_failures = [var.firebase_projects]
}

run "refused_projects_4" {
  command = plan
  variables {
    firebase_projects = { "com.shop" = "123456789012" }
    firebase_quotas   = {}
  }
  expect_failures = [var.firebase_projects]
}

run "refused_projects_5" {
  command = plan
  variables {
    firebase_projects = { "com.shop" = "shop-prod" }
    firebase_quotas   = { "shop-prod" = 600.5 }
  }
  expect_failures = [var.firebase_quotas]
}

run "refused_projects_6" {
  command = plan
  variables {
    firebase_projects = { "com.shop" = "shop-prod" }
    firebase_quotas   = { "pharmacy-prod" = 60000 }
  }
  expect_failures = [var.firebase_quotas]
}

run "accepted_projects" {
  command = plan
  variables {
    firebase_projects = { "com.shop" = "example.com:shop-prod", "*" = "kiosk-prod" }
    firebase_quotas   = { "kiosk-prod" = 1000000000 }
  }
}

run "fewer_events_than_a_request_may_have" {
  command = plan
  variables {
    devices = { events_per_hour = 99 }
  }
  expect_failures = [var.devices]
}

run "delivery_data_of_an_ios_app" {
  command = plan
  variables {
    delivery_data_apps = { "shop-push" = ["1:12:ios:0a"] }
  }
  expect_failures = [var.delivery_data_apps]
}

run "delivery_data_of_a_project_number" {
  command = plan
  variables {
    delivery_data_apps = { "123456789012" = ["1:12:android:0a"] }
  }
  expect_failures = [var.delivery_data_apps]
}

run "delivery_data_of_an_app_twice" {
  command = plan
  variables {
    delivery_data_apps = { "shop-push" = ["1:12:android:0a", "1:12:android:0a"] }
  }
  expect_failures = [var.delivery_data_apps]
}

run "more_vcpus_than_cloud_run_allows" {
  command = plan
  variables {
    functions = { customers = { max_instances = 11 } }
  }
  expect_failures = [var.functions]
}

run "more_vcpus_than_cloud_run_allows_by_cpu" {
  command = plan
  variables {
    cloud_run_vcpus = 19
    functions       = { deliver = { cpu = "2", memory = "2Gi" } }
  }
  expect_failures = [var.functions]
}

run "cloud_run_vcpus_refused" {
  command = plan
  variables {
    cloud_run_vcpus = 10.5
  }
  expect_failures = [var.cloud_run_vcpus]
}
