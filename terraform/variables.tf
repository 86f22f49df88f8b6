# All variables. Neither `terraform validate` nor a plan checks the values of most of these
# strings and numbers, so validations check them here.

locals {
  # Regions that have Cloud Run functions. Each is also a location of Firestore.
  regions = toset([
    "africa-south1",
    "asia-east1", "asia-east2", "asia-northeast1", "asia-northeast2", "asia-northeast3",
    "asia-south1", "asia-south2", "asia-southeast1", "asia-southeast2", "asia-southeast3",
    "australia-southeast1", "australia-southeast2",
    "europe-central2", "europe-north1", "europe-north2", "europe-southwest1",
    "europe-west1", "europe-west2", "europe-west3", "europe-west4", "europe-west6",
    "europe-west8", "europe-west9", "europe-west10", "europe-west12",
    "me-central1", "me-central2", "me-west1",
    "northamerica-northeast1", "northamerica-northeast2", "northamerica-south1",
    "southamerica-east1", "southamerica-west1",
    "us-central1", "us-east1", "us-east4", "us-east5", "us-south1",
    "us-west1", "us-west2", "us-west3", "us-west4",
  ])
  multi_regions = toset(["eur3", "nam5", "nam7"]) # of Firestore

  # Patterns for the five fields of a cron expression. A pattern matches one item of the
  # list in a field: a value, a range or a step.
  cron = [for value in [
    "[0-5]?[0-9]",
    "([01]?[0-9]|2[0-3])",
    "(0?[1-9]|[12][0-9]|3[01])",
    "(0?[1-9]|1[0-2]|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)",
    "([0-7]|sun|mon|tue|wed|thu|fri|sat)",
  ] : "^([*]|${value}(-${value})?)(/[1-9][0-9]?)?$"]

  mebibytes = {
    "128Mi" = 128, "256Mi" = 256, "512Mi" = 512
    "1Gi"   = 1024, "2Gi" = 2048, "4Gi" = 4096
    "8Gi"   = 8192, "16Gi" = 16384, "32Gi" = 32768
  }

  # The least and the most memory that Cloud Run allows for a number of vCPUs, in MiB.
  memory_of_cpu = {
    "1" = { least = 128, most = 4096 }
    "2" = { least = 128, most = 8192 }
    "4" = { least = 2048, most = 16384 }
    "6" = { least = 4096, most = 16384 }
    "8" = { least = 4096, most = 32768 }
  }
}

variable "project_id" {
  type        = string
  nullable    = false
  description = "Id of the Google Cloud project."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id must be the id of the project (6 to 30 lower-case letters, digits and hyphens), not its number or its name."
  }
}

variable "region" {
  type        = string
  nullable    = false
  description = "Region of functions, images and uploads."

  validation {
    condition     = contains(local.regions, var.region)
    error_message = "The list in variables.tf has no region ${var.region} with Cloud Run functions. If the region is new, add it to the list."
  }
}

variable "firestore_location" {
  type        = string
  default     = null
  description = "Location of the database. It cannot be changed later. null: region. A multi-region (eur3, nam5, nam7) costs more and survives the loss of a region."

  validation {
    condition     = var.firestore_location == null || contains(setunion(local.regions, local.multi_regions), coalesce(var.firestore_location, "-"))
    error_message = "The lists in variables.tf have no Firestore location ${coalesce(var.firestore_location, "-")}. If the location is new, add it to a list."
  }
}

variable "scheduler_region" {
  type        = string
  default     = null
  description = "Region of Cloud Scheduler, if region has no Cloud Scheduler. null: region."

  validation {
    condition     = var.scheduler_region == null || contains(local.regions, coalesce(var.scheduler_region, "-"))
    error_message = "The list in variables.tf has no region ${coalesce(var.scheduler_region, "-")}."
  }
}

variable "prefix" {
  type        = string
  default     = "carillon"
  nullable    = false
  description = "Prefix of the names of functions, service accounts, bucket, registry, jobs and metrics. Topics and subscriptions have topic_prefix."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,16}[a-z0-9]$", var.prefix))
    error_message = "prefix must be 3 to 18 lower-case letters, digits and hyphens, begin with a letter and not end with a hyphen. A service account id has at most 30 characters, and the longest suffix has 10."
  }
}

variable "topic_prefix" {
  type        = string
  default     = ""
  nullable    = false
  description = "Prefix of the names of topics and subscriptions, such as staging-. A second installation in the project needs one, and a prefix, a database and a bigquery.dataset of its own."

  validation {
    condition     = var.topic_prefix == "" || can(regex("^[a-z][a-z0-9-]{1,19}-$", var.topic_prefix))
    error_message = "topic_prefix must be empty, or 3 to 21 lower-case letters, digits and hyphens, begin with a letter and end with a hyphen."
  }
}

variable "labels" {
  type        = map(string)
  default     = {}
  nullable    = false
  description = "Labels of every resource that can have labels, in addition to app."

  validation {
    condition     = alltrue([for k, v in var.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", k)) && can(regex("^[a-z0-9_-]{0,63}$", v))])
    error_message = "A label key must begin with a lower-case letter. Keys and values must be at most 63 lower-case letters, digits, hyphens and underscores."
  }
}

variable "source_root" {
  type        = string
  default     = null
  description = "Checkout from which the functions are uploaded. null: the checkout that contains this module."
}

variable "database" {
  type        = string
  default     = "carillon"
  nullable    = false
  description = "Name of the Firestore database. It must be a database of Carillon's own: rules, TTL and indexes are for everything in it. (default) is only for a project in which no app and no other software uses the default database."

  validation {
    condition     = var.database == "(default)" || can(regex("^[a-z][a-z0-9-]{2,61}[a-z0-9]$", var.database))
    error_message = "database must be (default), or 4 to 63 lower-case letters, digits and hyphens."
  }
}

variable "protect_data" {
  type        = bool
  default     = true
  nullable    = false
  description = "Whether the database and the BigQuery table of events are protected from deletion. Set it to false and apply before you destroy them."
}

variable "stopped" {
  type        = bool
  default     = false
  nullable    = false
  description = "Whether the workers get no work, as for a restore: Pub/Sub keeps their messages and does not push them, and the jobs of Cloud Scheduler are paused. mailings, customers and devices still answer requests."
}

variable "backup_retention" {
  type        = string
  default     = "604800s"
  nullable    = false
  description = "How long a daily backup of the database is kept, as a duration in seconds: 86400s (a day) to 8467200s (14 weeks)."

  validation {
    condition     = can(regex("^[1-9][0-9]*s$", var.backup_retention)) && try(tonumber(trimsuffix(var.backup_retention, "s")) >= 86400 && tonumber(trimsuffix(var.backup_retention, "s")) <= 8467200, false)
    error_message = "backup_retention must be a duration in seconds like 604800s, between 86400s (a day) and 8467200s (14 weeks)."
  }
}

variable "functions" {
  type = object({
    mailings = optional(object({
      cpu             = optional(string, "1")
      memory          = optional(string, "512Mi")
      concurrency     = optional(number, 80)
      min_instances   = optional(number, 0)
      max_instances   = optional(number, 10)
      timeout_seconds = optional(number, 60)
    }), {})
    customers = optional(object({
      cpu             = optional(string, "1")
      memory          = optional(string, "512Mi")
      concurrency     = optional(number, 80)
      min_instances   = optional(number, 0)
      max_instances   = optional(number, 10)
      timeout_seconds = optional(number, 60)
    }), {})
    dispatch = optional(object({
      cpu                   = optional(string, "1")
      memory                = optional(string, "512Mi")
      concurrency           = optional(number, 10)
      min_instances         = optional(number, 0)
      max_instances         = optional(number, 10)
      timeout_seconds       = optional(number, 300)
      ack_deadline_seconds  = optional(number, 330)
      max_delivery_attempts = optional(number, 20)
    }), {})
    deliver = optional(object({
      cpu                   = optional(string, "1")
      memory                = optional(string, "1Gi")
      concurrency           = optional(number, 20)
      min_instances         = optional(number, 0)
      max_instances         = optional(number, 10)
      timeout_seconds       = optional(number, 120)
      ack_deadline_seconds  = optional(number, 150)
      max_delivery_attempts = optional(number, 20)
    }), {})
    deliver-small = optional(object({
      cpu                   = optional(string, "1")
      memory                = optional(string, "1Gi")
      concurrency           = optional(number, 20)
      min_instances         = optional(number, 0)
      max_instances         = optional(number, 2)
      timeout_seconds       = optional(number, 120)
      ack_deadline_seconds  = optional(number, 150)
      max_delivery_attempts = optional(number, 20)
    }), {})
    messages = optional(object({
      cpu                   = optional(string, "1")
      memory                = optional(string, "512Mi")
      concurrency           = optional(number, 200)
      min_instances         = optional(number, 0)
      max_instances         = optional(number, 2)
      timeout_seconds       = optional(number, 60)
      ack_deadline_seconds  = optional(number, 90)
      max_delivery_attempts = optional(number, 20)
    }), {})
    tick = optional(object({
      cpu                   = optional(string, "1")
      memory                = optional(string, "512Mi")
      concurrency           = optional(number, 20)
      min_instances         = optional(number, 0)
      max_instances         = optional(number, 2)
      timeout_seconds       = optional(number, 120)
      ack_deadline_seconds  = optional(number, 150)
      max_delivery_attempts = optional(number, 5)
    }), {})
    devices = optional(object({
      cpu             = optional(string, "1")
      memory          = optional(string, "512Mi")
      concurrency     = optional(number, 80)
      min_instances   = optional(number, 0)
      max_instances   = optional(number, 5)
      timeout_seconds = optional(number, 30)
    }), {})
    console = optional(object({
      cpu             = optional(string, "1")
      memory          = optional(string, "512Mi")
      concurrency     = optional(number, 80)
      min_instances   = optional(number, 0)
      max_instances   = optional(number, 2)
      timeout_seconds = optional(number, 300)
    }), {})
  })
  default     = {}
  nullable    = false
  description = "Size and limits of each function: cpu, memory, concurrency (requests that one instance serves at the same time), min_instances, max_instances and timeout_seconds. Workers also have ack_deadline_seconds, which must be above timeout_seconds, and max_delivery_attempts, after which a message goes to the dead letters. deliver-small is deliver for small mailings and low rates; messages is deliver for messages to one customer. With min_instances = 1 the first request does not wait for an instance to start."

  validation {
    condition     = alltrue([for f in values(var.functions) : contains(keys(local.memory_of_cpu), f.cpu)])
    error_message = "cpu must be \"1\", \"2\", \"4\", \"6\" or \"8\". A fraction of a vCPU could serve only one request at a time."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : contains(keys(local.mebibytes), f.memory)])
    error_message = "memory must be 128Mi, 256Mi, 512Mi, 1Gi, 2Gi, 4Gi, 8Gi, 16Gi or 32Gi."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : try(local.mebibytes[f.memory] >= local.memory_of_cpu[f.cpu].least && local.mebibytes[f.memory] <= local.memory_of_cpu[f.cpu].most, true)])
    error_message = "memory must fit cpu: 128Mi to 4Gi with cpu 1, 128Mi to 8Gi with 2, 2Gi to 16Gi with 4, 4Gi to 16Gi with 6, 4Gi to 32Gi with 8."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : f.concurrency >= 1 && f.concurrency <= 1000 && f.concurrency == floor(f.concurrency)])
    error_message = "concurrency must be a whole number from 1 to 1000."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : f.min_instances >= 0 && f.min_instances == floor(f.min_instances) && f.max_instances >= 1 && f.max_instances <= 1000 && f.max_instances == floor(f.max_instances)])
    error_message = "min_instances must be a whole number of at least 0, and max_instances a whole number from 1 to 1000."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : f.min_instances <= f.max_instances])
    error_message = "min_instances must not be above max_instances."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : try(tonumber(f.cpu) * f.max_instances <= var.cloud_run_vcpus, true)])
    error_message = "cpu times max_instances of a function must not be above cloud_run_vcpus, the quota of Cloud Run in the region: Google would refuse the function. Lower max_instances, or ask Google for a higher quota and set cloud_run_vcpus to it."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : f.timeout_seconds >= 10 && f.timeout_seconds <= 3600 && f.timeout_seconds == floor(f.timeout_seconds)])
    error_message = "timeout_seconds must be a whole number from 10 to 3600."
  }

  validation {
    condition     = alltrue([for f in [var.functions.dispatch, var.functions.deliver, var.functions["deliver-small"], var.functions.messages, var.functions.tick] : f.timeout_seconds >= 30])
    error_message = "timeout_seconds of a worker must be at least 30: FCM alone may take 10 s to answer."
  }

  validation {
    condition     = var.functions.tick.timeout_seconds >= 85
    error_message = "timeout_seconds of tick must be at least 85: a round publishes what becomes due until the next round, which starts a minute later and may be 15 s late."
  }

  validation {
    condition     = alltrue([for f in [var.functions.dispatch, var.functions.deliver, var.functions["deliver-small"], var.functions.messages, var.functions.tick] : f.ack_deadline_seconds >= 10 && f.ack_deadline_seconds <= 600 && f.ack_deadline_seconds == floor(f.ack_deadline_seconds)])
    error_message = "ack_deadline_seconds must be a whole number from 10 to 600."
  }

  validation {
    condition     = alltrue([for f in [var.functions.dispatch, var.functions.deliver, var.functions["deliver-small"], var.functions.messages, var.functions.tick] : f.ack_deadline_seconds > f.timeout_seconds])
    error_message = "ack_deadline_seconds must be above timeout_seconds. Otherwise Pub/Sub delivers a message again while a call still works on it."
  }

  validation {
    condition     = alltrue([for f in [var.functions.dispatch, var.functions.deliver, var.functions["deliver-small"], var.functions.messages, var.functions.tick] : f.max_delivery_attempts >= 5 && f.max_delivery_attempts <= 100 && f.max_delivery_attempts == floor(f.max_delivery_attempts)])
    error_message = "max_delivery_attempts must be a whole number from 5 to 100."
  }
}

variable "cloud_run_vcpus" {
  type        = number
  default     = 10
  nullable    = false
  description = "Quota of Cloud Run in the region, in vCPUs: Google refuses a function whose cpu times max_instances is above it. The Google Cloud console shows the quota under IAM & Admin, Quotas, run.googleapis.com, Total CPU allocation (in thousandths). The default is the least that new projects were seen with."

  validation {
    condition     = var.cloud_run_vcpus >= 1 && var.cloud_run_vcpus == floor(var.cloud_run_vcpus)
    error_message = "cloud_run_vcpus must be a whole number of at least 1."
  }
}

variable "backoff" {
  type = object({
    minimum = optional(string, "10s")
    maximum = optional(string, "600s")
  })
  default     = {}
  nullable    = false
  description = "How long Pub/Sub waits before it delivers a message again. The wait grows from minimum to maximum. Both are durations in seconds, at most 600s."

  validation {
    condition     = can(regex("^[0-9]+s$", var.backoff.minimum)) && try(tonumber(trimsuffix(var.backoff.minimum, "s")) >= 0 && tonumber(trimsuffix(var.backoff.minimum, "s")) <= 600, false) && can(regex("^[0-9]+s$", var.backoff.maximum)) && try(tonumber(trimsuffix(var.backoff.maximum, "s")) >= 0 && tonumber(trimsuffix(var.backoff.maximum, "s")) <= 600, false)
    error_message = "minimum and maximum must be whole seconds like 10s, at most 600s."
  }

  validation {
    condition     = try(tonumber(trimsuffix(var.backoff.minimum, "s")) <= tonumber(trimsuffix(var.backoff.maximum, "s")), false)
    error_message = "minimum must not be above maximum."
  }
}

variable "message_retention" {
  type        = string
  default     = "604800s"
  nullable    = false
  description = "How long Pub/Sub keeps messages that are not acknowledged, and dead letters, as a duration in seconds: 600s (10 minutes) to 2678400s (31 days)."

  validation {
    condition     = can(regex("^[0-9]+s$", var.message_retention)) && try(tonumber(trimsuffix(var.message_retention, "s")) >= 600 && tonumber(trimsuffix(var.message_retention, "s")) <= 2678400, false)
    error_message = "message_retention must be a duration in seconds like 604800s, between 600s (10 minutes) and 2678400s (31 days)."
  }
}

variable "invokers" {
  type = object({
    mailings  = optional(set(string), [])
    customers = optional(set(string), [])
  })
  default     = {}
  nullable    = false
  description = "IAM members that may call the functions mailings and customers (user:, group:, serviceAccount:, principal:, principalSet:)."

  validation {
    condition     = alltrue([for m in setunion(var.invokers.mailings, var.invokers.customers) : can(regex("^(user|group|serviceAccount):[^@ ]+@[^@ ]+$|^principal(Set)?://[^ ]+$", m))])
    error_message = "An invoker must be user:, group: or serviceAccount: with an address, principal:// or principalSet://. allUsers and whole domains are refused, because these functions are not public."
  }

  validation {
    condition     = alltrue([for m in setunion(var.invokers.mailings, var.invokers.customers) : !endswith(m, "/*")])
    error_message = "An invoker must not be a whole pool of identities (…/*). Name the subject, the group or the attribute."
  }
}

variable "fcm_quota_per_minute" {
  type        = number
  default     = 600000
  nullable    = false
  description = "FCM quota of the project, in messages a minute. The default of Google is 600,000. The Google Cloud console shows the quota of a project under IAM & Admin, Quotas, fcm.googleapis.com."

  validation {
    condition     = var.fcm_quota_per_minute >= 600 && var.fcm_quota_per_minute <= 1000000000 && var.fcm_quota_per_minute == floor(var.fcm_quota_per_minute)
    error_message = "fcm_quota_per_minute must be a whole number from 600 to 1000000000."
  }
}

variable "firebase_projects" {
  type        = map(string)
  default     = {}
  nullable    = false
  description = "Firebase projects of apps that are not in project_id: a map from the name of the app, as its tokens are registered, to the id of its project. The key * stands for every other app. Terraform grants mailings and deliver the permission to send there."

  validation {
    condition     = alltrue([for app in keys(var.firebase_projects) : can(regex("^[^,=[:cntrl:]]{1,200}$", app)) && trimspace(app) == app])
    error_message = "The name of an app in firebase_projects must have 1 to 200 characters, no comma, no equals sign, and no space at an end."
  }

  validation {
    condition     = alltrue([for p in values(var.firebase_projects) : can(regex("^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$", p))])
    error_message = "firebase_projects must have ids of projects (6 to 30 lower-case letters, digits and hyphens), not their numbers or names."
  }
}

variable "firebase_quotas" {
  type        = map(number)
  default     = {}
  nullable    = false
  description = "FCM quota, in messages a minute, of each project in firebase_projects that has another one than fcm_quota_per_minute: a map from the id of the project."

  validation {
    condition     = alltrue([for q in values(var.firebase_quotas) : q >= 600 && q <= 1000000000 && q == floor(q)])
    error_message = "The quotas in firebase_quotas must be whole numbers from 600 to 1000000000."
  }

  validation {
    condition     = alltrue([for p in keys(var.firebase_quotas) : contains(values(var.firebase_projects), p)])
    error_message = "firebase_quotas must have ids of projects that firebase_projects has, too."
  }
}

variable "delivery_data_apps" {
  type        = map(list(string))
  default     = {}
  nullable    = false
  description = "Android apps for which tick fetches FCM's delivery data once a day: a map from the id of a Firebase project to its Firebase app ids. The default is none."

  validation {
    condition     = alltrue(flatten([for ids in values(var.delivery_data_apps) : [for id in ids : can(regex("^[0-9]+:[0-9]+:android:[0-9a-f]+$", id))]]))
    error_message = "delivery_data_apps must have Firebase app ids of Android apps, like 1:123456789012:android:0a1b2c3d4e5f."
  }

  validation {
    condition     = alltrue([for p in keys(var.delivery_data_apps) : can(regex("^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$", p))])
    error_message = "delivery_data_apps must have ids of projects (6 to 30 lower-case letters, digits and hyphens), not their numbers or names."
  }

  validation {
    condition     = alltrue([for ids in values(var.delivery_data_apps) : length(distinct(ids)) == length(ids)])
    error_message = "delivery_data_apps must have each app once."
  }
}

variable "fcm_endpoint" {
  type        = string
  default     = "https://fcm.googleapis.com"
  nullable    = false
  description = "Address of FCM. Carillon sends credentials only to Google's own address."

  validation {
    condition     = can(regex("^https://[^/ ]+$", var.fcm_endpoint))
    error_message = "fcm_endpoint must be https:// and a host, without a path."
  }
}

variable "proof_topic" {
  type        = string
  default     = "carillon-proof"
  nullable    = false
  description = "FCM topic with which Carillon asks FCM to validate payloads. Carillon sends nothing to it, and no app needs to subscribe to it."

  validation {
    condition     = can(regex("^[a-zA-Z0-9_.~%-]{1,900}$", var.proof_topic))
    error_message = "proof_topic must be 1 to 900 letters, digits and -_.~%."
  }
}

variable "invalid_share" {
  type        = number
  default     = 0.3
  nullable    = false
  description = "If the share of INVALID_ARGUMENT among the answers of one call for one project is greater, the breaker opens: no such answer is believed before FCM has accepted the payload again. If the share of held flags in a mailing is greater, the mailing is paused."

  validation {
    condition     = var.invalid_share >= 0.01 && var.invalid_share <= 1
    error_message = "invalid_share must be between 0.01 and 1."
  }
}

variable "rosters_from_customers" {
  type        = number
  default     = 50000
  nullable    = false
  description = "From how many customers on mailings read rosters, which are packed copies of the customers, instead of one document for each customer. 0: never."

  validation {
    condition     = var.rosters_from_customers >= 0 && var.rosters_from_customers <= 1000000000 && var.rosters_from_customers == floor(var.rosters_from_customers)
    error_message = "rosters_from_customers must be a whole number from 0 to 1000000000."
  }
}

variable "max_tokens" {
  type        = number
  default     = 20
  nullable    = false
  description = "Maximum number of push tokens of a customer."

  validation {
    condition     = var.max_tokens >= 1 && var.max_tokens <= 100 && var.max_tokens == floor(var.max_tokens)
    error_message = "max_tokens must be a whole number from 1 to 100."
  }
}

variable "token_life" {
  type        = string
  default     = "6480h"
  nullable    = false
  description = "How long an Android token is kept after it was last seen, in hours."

  validation {
    condition     = can(regex("^[1-9][0-9]*h$", var.token_life)) && try(tonumber(trimsuffix(var.token_life, "h")) >= 24 && tonumber(trimsuffix(var.token_life, "h")) <= 87600, false)
    error_message = "token_life must be whole hours like 6480h, between 24h and 87600h."
  }
}

variable "log_level" {
  type        = string
  default     = "info"
  nullable    = false
  description = "Lowest severity that is logged: debug or info. Metrics, alerts and the dashboard need the lines of level info, so a higher level is refused."

  validation {
    condition     = contains(["debug", "info"], var.log_level)
    error_message = "log_level must be debug or info: with a higher level the lines are missing that metrics and alerts count, and the alert of tick would never end."
  }
}

variable "devices" {
  type = object({
    enabled         = optional(bool, false)
    customer_claim  = optional(string, "uid")
    tenant          = optional(string, "")
    check_revoked   = optional(bool, false)
    allowed_origins = optional(list(string), [])
    app_check       = optional(string, "off")

    registrations_per_hour = optional(number, 60)
    registrations_per_day  = optional(number, 300)
    moves_per_hour         = optional(number, 5)
    events_per_hour        = optional(number, 600)
    moves_per_day          = optional(number, 10)
  })
  default     = {}
  nullable    = false
  description = "The public function devices. enabled: whether it is deployed. customer_claim: the claim of the caller's Firebase Auth ID token that is the id of the customer. tenant: the Identity Platform tenant whose tokens are accepted (empty: only tokens without a tenant). check_revoked: whether each call asks Google if the account is still valid. allowed_origins: the origins of web pages that may call. app_check: what happens to a call without a valid Firebase App Check token: off (it is not checked), log or enforce. registrations_per_hour, registrations_per_day, moves_per_hour and moves_per_day limit the apps of one customer, in hours and days of UTC. A move takes a token from another customer. events_per_hour limits what the apps of one customer report to each instance (opened, received, dismissed), in hours of UTC."

  validation {
    condition     = can(regex("^[A-Za-z_][A-Za-z0-9_.:/-]*$", var.devices.customer_claim))
    error_message = "customer_claim must be the name of a claim."
  }

  validation {
    condition     = !contains(["name", "picture", "email"], var.devices.customer_claim)
    error_message = "customer_claim must not be name, picture or email, because users can set these claims themselves."
  }

  validation {
    condition     = contains(["off", "log", "enforce"], var.devices.app_check)
    error_message = "app_check must be off, log or enforce."
  }

  validation {
    condition     = alltrue([for n in [var.devices.registrations_per_hour, var.devices.registrations_per_day, var.devices.moves_per_hour, var.devices.moves_per_day] : n >= 1 && n <= 1000000 && n == floor(n)])
    error_message = "registrations_per_hour, registrations_per_day, moves_per_hour and moves_per_day must be whole numbers from 1 to 1000000."
  }

  validation {
    condition     = var.devices.events_per_hour >= 100 && var.devices.events_per_hour <= 1000000 && var.devices.events_per_hour == floor(var.devices.events_per_hour)
    error_message = "events_per_hour must be a whole number from 100, which is one full request, to 1000000."
  }

  validation {
    condition     = alltrue([for o in var.devices.allowed_origins : can(regex("^(https://[a-z0-9.-]+|http://localhost)(:[0-9]+)?$", o))])
    error_message = "allowed_origins must be origins such as https://shop.example, without a path and without a wildcard."
  }
}

variable "console" {
  type = object({
    enabled  = optional(bool, false)
    identity = optional(string, "iap")
    look     = optional(set(string), [])
    send     = optional(set(string), [])
    people   = optional(set(string), [])
  })
  default     = {}
  nullable    = false
  description = "The page for people. enabled: whether it is deployed. identity: who says who a person is: iap (Identity-Aware Proxy) or proxy (gcloud run services proxy, for projects without an organisation). look: who may see everything and change nothing. send: who may also send mailings, change their state and the settings, and erase customers. Both are e-mail addresses, or domains like @shop.example. people: with proxy, the IAM members that may call the console (user:, group:)."

  validation {
    condition     = contains(["iap", "proxy"], var.console.identity)
    error_message = "identity must be iap or proxy."
  }

  validation {
    condition     = alltrue([for e in setunion(var.console.look, var.console.send) : can(regex("^[^@ *,]*@[a-z0-9.-]+$", e))])
    error_message = "look and send must be e-mail addresses, or domains like @shop.example, in lower case behind the @."
  }

  validation {
    condition     = alltrue([for m in var.console.people : can(regex("^(user|group):[^ ]+@[^ ]+$", m))])
    error_message = "people must be IAM members such as user:anna@shop.example or group:push@shop.example."
  }
}

variable "callers" {
  type        = map(list(string))
  default     = null
  description = "Permissions of callers of the HTTP API: a map from the caller (the e-mail address of a service account or a user, or the subject of the ID token) to a list of read, register, profile, erase, send and settings. null: everyone who may invoke a function has all permissions. A caller needs roles/run.invoker in IAM, too. With token_check the module adds the account of Cloud Scheduler, with send."

  validation {
    condition     = alltrue([for p in flatten(values(coalesce(var.callers, {}))) : contains(["read", "register", "profile", "erase", "send", "settings"], p)])
    error_message = "The permissions of callers must be read, register, profile, erase, send or settings."
  }
}

variable "require_idempotency_key" {
  type        = bool
  default     = false
  nullable    = false
  description = "Whether a request to create a mailing without an Idempotency-Key is refused (400). A request without a key that is repeated creates a second mailing. It cannot be used with token_check, because Cloud Scheduler cannot send another key each week."

  validation {
    condition     = !(var.require_idempotency_key && var.token_check.enabled)
    error_message = "require_idempotency_key cannot be used with token_check: Cloud Scheduler cannot send another key each week, so that mailings would refuse every token check."
  }
}

variable "token_check" {
  type = object({
    enabled   = optional(bool, false)
    schedule  = optional(string, "0 4 * * 2")
    time_zone = optional(string, "Etc/UTC")
  })
  default     = {}
  nullable    = false
  description = "The token check, a dry run to everyone that finds invalid tokens: whether it runs, when (schedule: cron, five fields) and in which time zone. It uses as much of FCM's quota as a mailing to everyone."

  validation {
    condition     = length(split(" ", var.token_check.schedule)) == 5 && alltrue([for i, field in split(" ", var.token_check.schedule) : alltrue([for part in split(",", field) : can(regex(local.cron[i], lower(part)))]) if i < 5])
    error_message = "schedule must be a cron expression of five fields with one space between them: minute, hour, day of month, month, day of week."
  }

  validation {
    condition     = can(regex("^[A-Z][A-Za-z_]+(/[A-Z][A-Za-z0-9_+-]+)*$", var.token_check.time_zone))
    error_message = "time_zone must be a name like Europe/Riga or Etc/UTC."
  }
}

variable "bigquery" {
  type = object({
    enabled   = optional(bool, false)
    dataset   = optional(string, "carillon")
    location  = optional(string)
    keep_days = optional(number, 400)
  })
  default     = {}
  nullable    = false
  description = "The events of push-events in BigQuery: whether they are stored there, with views of them, in which dataset and location (null: region), and for how many days."

  validation {
    condition     = can(regex("^[A-Za-z0-9_]+$", var.bigquery.dataset))
    error_message = "dataset must be letters, digits and underscores."
  }

  validation {
    condition     = var.bigquery.location == null || contains(setunion(local.regions, ["EU", "US"]), coalesce(var.bigquery.location, "-"))
    error_message = "location must be EU, US or a region."
  }

  validation {
    condition     = var.bigquery.keep_days >= 1 && var.bigquery.keep_days <= 3650 && var.bigquery.keep_days == floor(var.bigquery.keep_days)
    error_message = "keep_days must be a whole number from 1 to 3650."
  }
}

variable "alert_emails" {
  type        = set(string)
  default     = []
  nullable    = false
  description = "E-mail addresses that receive the alerts."

  validation {
    condition     = alltrue([for a in var.alert_emails : can(regex("^[^@ ]+@[^@ ]+[.][^@ ]+$", a))])
    error_message = "alert_emails must be e-mail addresses."
  }
}

variable "notification_channels" {
  type        = set(string)
  default     = []
  nullable    = false
  description = "Full names of further notification channels of Cloud Monitoring that receive the alerts."

  validation {
    condition     = alltrue([for c in var.notification_channels : can(regex("^projects/[^/]+/notificationChannels/[^/]+$", c))])
    error_message = "The name of a channel must have the form projects/…/notificationChannels/…."
  }
}

variable "alerts" {
  type = object({
    oldest_message_seconds = optional(number, 900)
    oldest_single_seconds  = optional(number, 120)
    error_share            = optional(number, 0.05)
    fcm_quota_share        = optional(number, 0.05)
  })
  default     = {}
  nullable    = false
  description = "Thresholds of alerts: the age in seconds of the oldest message that is not acknowledged (oldest_message_seconds), the same for the lane of messages to one customer (oldest_single_seconds), the share of requests that are answered with 5xx (error_share), and the share of requests to FCM that are answered with 429 (fcm_quota_share)."

  validation {
    condition     = var.alerts.oldest_message_seconds >= 60 && var.alerts.oldest_message_seconds <= 86400
    error_message = "oldest_message_seconds must be between 60 and 86400."
  }

  validation {
    condition     = var.alerts.oldest_single_seconds >= 60 && var.alerts.oldest_single_seconds <= 86400
    error_message = "oldest_single_seconds must be between 60 and 86400."
  }

  validation {
    condition     = var.alerts.error_share > 0 && var.alerts.error_share < 1
    error_message = "error_share must be above 0 and below 1."
  }

  validation {
    condition     = var.alerts.fcm_quota_share > 0 && var.alerts.fcm_quota_share < 1
    error_message = "fcm_quota_share must be above 0 and below 1."
  }
}

variable "slo" {
  type = object({
    available       = optional(number, 0.999)
    message_in_time = optional(number, 0.99)
    message_seconds = optional(number, 60)
    mailing_in_time = optional(number, 0.99)
    mailing_seconds = optional(number, 60)
  })
  default     = {}
  description = "Service level objectives of 28 days: the share of requests to mailings and customers that are answered without 5xx (available), the share of messages to one customer that have their result (message_in_time) within message_seconds of their acceptance, and the share of mailings that start (mailing_in_time) within mailing_seconds of their time. An alert tells when the errors come too fast for them. null: no objectives."

  validation {
    condition     = var.slo == null || alltrue([for goal in [try(var.slo.available, 0), try(var.slo.message_in_time, 0), try(var.slo.mailing_in_time, 0)] : goal >= 0.5 && goal <= 0.9999])
    error_message = "available, message_in_time and mailing_in_time must be between 0.5 and 0.9999."
  }

  validation {
    condition     = var.slo == null || alltrue([for limit in [try(var.slo.message_seconds, 0), try(var.slo.mailing_seconds, 0)] : limit >= 1 && limit <= 3600])
    error_message = "message_seconds and mailing_seconds must be between 1 and 3600."
  }
}

variable "budget" {
  type = object({
    billing_account = string
    amount          = number
    currency        = optional(string)
  })
  default     = null
  description = "Monthly budget of the project: billing account, amount, and currency (null: the currency of the account). Google sends an e-mail at 50, 90 and 100 %. null: no budget."

  validation {
    condition     = var.budget == null || can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.budget.billing_account))
    error_message = "billing_account must have the form 012345-6789AB-CDEF01."
  }

  validation {
    condition     = var.budget == null || try(var.budget.amount >= 1 && var.budget.amount == floor(var.budget.amount), false)
    error_message = "amount must be a whole number of at least 1."
  }

  validation {
    condition     = var.budget == null || try(var.budget.currency == null || can(regex("^[A-Z]{3}$", var.budget.currency)), false)
    error_message = "currency must be three capital letters like EUR."
  }
}
