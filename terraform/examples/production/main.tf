# A shop that sends to ten million phones a day: a raised FCM quota, more instances, a
# database in two regions, alerts, events in BigQuery, a token check and a budget.

terraform {
  required_version = ">= 1.9.0, < 2.0.0"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 7.40, < 8.0"
    }
    archive = {
      source  = "hashicorp/archive"
      version = "~> 2.7"
    }
  }
  # Store the state in a bucket, where it is versioned and locked:
  # backend "gcs" {
  #   bucket = "…"
  #   prefix = "carillon"
  # }
}

variable "project_id" {
  type = string
}

variable "billing_account" {
  type = string
}

provider "google" {
  project               = var.project_id
  billing_project       = var.project_id
  user_project_override = true # Google counts calls of the budget API against this project
}

module "carillon" {
  source = "../.."

  project_id         = var.project_id
  region             = "europe-west1"
  firestore_location = "eur3"
  backup_retention   = "2419200s" # four weeks
  labels             = { team = "crm", env = "production" }

  fcm_quota_per_minute = 1200000 # as raised by Google
  cloud_run_vcpus      = 200     # of Cloud Run in the region, as raised by Google; output vcpus says what all need together
  functions = {
    mailings  = { min_instances = 1 }
    customers = { min_instances = 1, max_instances = 50 }
    dispatch  = { max_instances = 20 }
    deliver   = { cpu = "2", memory = "2Gi", max_instances = 20 }
  }

  invokers = {
    mailings  = ["serviceAccount:crm@shop-crm.iam.gserviceaccount.com"]
    customers = ["serviceAccount:app-backend@shop-apps.iam.gserviceaccount.com"]
  }

  alert_emails = ["crm-operations@shop.example"]
  token_check  = { enabled = true, schedule = "0 4 * * 2", time_zone = "Europe/Riga" }
  bigquery     = { enabled = true, location = "EU" }
  budget       = { billing_account = var.billing_account, amount = 3000, currency = "EUR" }
}

output "mailings_url" {
  value = module.carillon.mailings_url
}

output "send_rate" {
  value = module.carillon.send_rate
}

output "bigquery_table" {
  value = module.carillon.bigquery_table
}
