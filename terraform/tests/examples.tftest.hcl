# The examples use the module as a child module from this checkout, so they upload the
# real code.

mock_provider "google" {
  mock_resource "google_cloudfunctions2_function" {
    defaults = {
      service_config = { uri = "https://function.run.app" }
    }
  }
}
mock_provider "archive" {}

run "minimal" {
  module {
    source = "./examples/minimal"
  }
  variables {
    project_id = "shop-push"
    region     = "europe-west1"
    sender     = "user:anna@shop.example"
  }
  assert {
    condition     = startswith(output.send, "curl -s -X POST https://function.run.app/v1/mailings ") && startswith(output.register, "curl -s -X POST https://function.run.app/v1/customers/")
    error_message = "The minimal example does not output the commands of the next steps."
  }
}

run "production" {
  module {
    source = "./examples/production"
  }
  variables {
    project_id      = "shop-push"
    billing_account = "012345-6789AB-CDEF01"
  }
  assert {
    condition     = output.send_rate == { quota = 1200000, instances = 24, per_instance = 50000 } && output.bigquery_table == "shop-push.carillon.events"
    error_message = "The settings of the production example do not match its comment."
  }
}
