# The minimal settings: a project, a region, and who may send.
#
#   terraform init && terraform apply -var project_id=… -var region=europe-west1 -var sender=user:you@example.com

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
}

variable "project_id" {
  type = string
}

variable "region" {
  type = string
}

variable "sender" {
  type        = string
  description = "Who may send mailings and register tokens, as an IAM member."
}

provider "google" {
  project               = var.project_id
  billing_project       = var.project_id
  user_project_override = true
}

module "carillon" {
  source = "../.." # outside of this repository: its address, with //terraform and a ref

  project_id = var.project_id
  region     = var.region
  invokers = {
    mailings  = [var.sender]
    customers = [var.sender]
  }
}

output "register" {
  value = module.carillon.register_command
}

output "send" {
  value = module.carillon.send_command
}
