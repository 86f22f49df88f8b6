# Everything that can be set. Neither `terraform validate` nor a plan looks into
# most of these strings and numbers, so they are checked here.

locals {
  # Regions that have Cloud Run functions. Firestore has them all as locations.
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
  multi_regions = toset(["eur3", "nam5", "nam7"]) # Firestore's

  # The five fields of a cron expression: one value, range or step of a list.
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

  # What Cloud Run gives at most and wants at least of memory, in MiB, by vCPUs.
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
  description = "The Google Cloud project."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id is the id (6 to 30 lower-case letters, digits and hyphens), not the number or the name."
  }
}

variable "region" {
  type        = string
  nullable    = false
  description = "Where functions, images and uploads live."

  validation {
    condition     = contains(local.regions, var.region)
    error_message = "There is no region ${var.region} with Cloud Run functions. If it is a new one, add it to the list in variables.tf."
  }
}

variable "firestore_location" {
  type        = string
  default     = null
  description = "Where the database lives, for good. Absent: the region. A multi-region (eur3, nam5, nam7) costs more and survives the loss of a region."

  validation {
    condition     = var.firestore_location == null || contains(setunion(local.regions, local.multi_regions), coalesce(var.firestore_location, "-"))
    error_message = "There is no Firestore location ${coalesce(var.firestore_location, "-")}. If it is a new one, add it to the list in variables.tf."
  }
}

variable "scheduler_region" {
  type        = string
  default     = null
  description = "Where Cloud Scheduler runs, if the region has none. Absent: the region."

  validation {
    condition     = var.scheduler_region == null || contains(local.regions, coalesce(var.scheduler_region, "-"))
    error_message = "There is no region ${coalesce(var.scheduler_region, "-")}."
  }
}

variable "prefix" {
  type        = string
  default     = "carillon"
  nullable    = false
  description = "What the names of functions, service accounts, bucket, registry, jobs and metrics begin with. Topics keep their names."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,16}[a-z0-9]$", var.prefix))
    error_message = "prefix is 3 to 18 lower-case letters, digits and hyphens: service account ids hold 30, and the longest ending takes 10."
  }
}

variable "labels" {
  type        = map(string)
  default     = {}
  nullable    = false
  description = "Labels for everything that takes labels, beside app."

  validation {
    condition     = alltrue([for k, v in var.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", k)) && can(regex("^[a-z0-9_-]{0,63}$", v))])
    error_message = "Label keys begin with a lower-case letter; keys and values are at most 63 lower-case letters, digits, hyphens and underscores."
  }
}

variable "source_root" {
  type        = string
  default     = null
  description = "The checkout the functions are uploaded from. Absent: the one this module lies in."
}

variable "database" {
  type        = string
  default     = "(default)"
  nullable    = false
  description = "The Firestore database."

  validation {
    condition     = var.database == "(default)" || can(regex("^[a-z][a-z0-9-]{2,61}[a-z0-9]$", var.database))
    error_message = "database is (default), or 4 to 63 lower-case letters, digits and hyphens."
  }
}

variable "protect_data" {
  type        = bool
  default     = true
  nullable    = false
  description = "Whether the database and the reports refuse to be deleted. Set false and apply before destroying."
}

variable "backup_retention" {
  type        = string
  default     = "604800s"
  nullable    = false
  description = "How long a daily backup of the database is kept, as a duration in seconds; at most 14 weeks."

  validation {
    condition     = can(regex("^[1-9][0-9]*s$", var.backup_retention)) && try(tonumber(trimsuffix(var.backup_retention, "s")) >= 86400 && tonumber(trimsuffix(var.backup_retention, "s")) <= 8467200, false)
    error_message = "backup_retention is a duration in seconds like 604800s, between 86400s (a day) and 8467200s (14 weeks)."
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
      max_instances   = optional(number, 20)
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
  })
  default     = {}
  nullable    = false
  description = "Size and limits of each function: cpu, memory, concurrency (requests an instance), min_instances, max_instances, timeout_seconds; of the workers also ack_deadline_seconds, above the time-out, and max_delivery_attempts before the dead letter. deliver-small is deliver for small mailings and low rates, messages is deliver for messages to one customer; with min_instances = 1 the first of them need not wait for an instance to start."

  validation {
    condition     = alltrue([for f in values(var.functions) : contains(keys(local.memory_of_cpu), f.cpu)])
    error_message = "cpu is \"1\", \"2\", \"4\", \"6\" or \"8\": a fraction serves one request at a time."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : contains(keys(local.mebibytes), f.memory)])
    error_message = "memory is 128Mi, 256Mi, 512Mi, 1Gi, 2Gi, 4Gi, 8Gi, 16Gi or 32Gi."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : try(local.mebibytes[f.memory] >= local.memory_of_cpu[f.cpu].least && local.mebibytes[f.memory] <= local.memory_of_cpu[f.cpu].most, true)])
    error_message = "memory has to fit cpu: 128Mi to 4Gi with 1, to 8Gi with 2, 2Gi to 16Gi with 4, 4Gi to 16Gi with 6, 4Gi to 32Gi with 8."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : f.concurrency >= 1 && f.concurrency <= 1000 && f.concurrency == floor(f.concurrency)])
    error_message = "concurrency is a whole number from 1 to 1000."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : f.min_instances >= 0 && f.min_instances == floor(f.min_instances) && f.max_instances >= 1 && f.max_instances <= 1000 && f.max_instances == floor(f.max_instances)])
    error_message = "min_instances is a whole number from 0, max_instances one from 1 to 1000."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : f.min_instances <= f.max_instances])
    error_message = "min_instances cannot be above max_instances."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : f.timeout_seconds >= 10 && f.timeout_seconds <= 3600 && f.timeout_seconds == floor(f.timeout_seconds)])
    error_message = "timeout_seconds is a whole number from 10 to 3600."
  }

  validation {
    condition     = alltrue([for f in [var.functions.dispatch, var.functions.deliver, var.functions["deliver-small"], var.functions.messages, var.functions.tick] : f.timeout_seconds >= 30])
    error_message = "A worker has at least 30 s: FCM alone may take 10 s to answer."
  }

  validation {
    condition     = var.functions.tick.timeout_seconds >= 85
    error_message = "tick has at least 85 s: it publishes what falls due until its next round, a minute later, and that one may come 15 s late."
  }

  validation {
    condition     = alltrue([for f in [var.functions.dispatch, var.functions.deliver, var.functions["deliver-small"], var.functions.messages, var.functions.tick] : f.ack_deadline_seconds >= 10 && f.ack_deadline_seconds <= 600 && f.ack_deadline_seconds == floor(f.ack_deadline_seconds)])
    error_message = "ack_deadline_seconds is a whole number from 10 to 600."
  }

  validation {
    condition     = alltrue([for f in [var.functions.dispatch, var.functions.deliver, var.functions["deliver-small"], var.functions.messages, var.functions.tick] : f.ack_deadline_seconds > f.timeout_seconds])
    error_message = "ack_deadline_seconds has to be above timeout_seconds, or Pub/Sub delivers again what is still being worked on."
  }

  validation {
    condition     = alltrue([for f in [var.functions.dispatch, var.functions.deliver, var.functions["deliver-small"], var.functions.messages, var.functions.tick] : f.max_delivery_attempts >= 5 && f.max_delivery_attempts <= 100 && f.max_delivery_attempts == floor(f.max_delivery_attempts)])
    error_message = "max_delivery_attempts is a whole number from 5 to 100."
  }
}

variable "backoff" {
  type = object({
    minimum = optional(string, "10s")
    maximum = optional(string, "600s")
  })
  default     = {}
  nullable    = false
  description = "How long Pub/Sub waits before it delivers again, growing from minimum to maximum; durations in seconds, at most 600s."

  validation {
    condition     = can(regex("^[0-9]+s$", var.backoff.minimum)) && try(tonumber(trimsuffix(var.backoff.minimum, "s")) >= 0 && tonumber(trimsuffix(var.backoff.minimum, "s")) <= 600, false) && can(regex("^[0-9]+s$", var.backoff.maximum)) && try(tonumber(trimsuffix(var.backoff.maximum, "s")) >= 0 && tonumber(trimsuffix(var.backoff.maximum, "s")) <= 600, false)
    error_message = "minimum and maximum are whole seconds like 10s, at most 600s."
  }

  validation {
    condition     = try(tonumber(trimsuffix(var.backoff.minimum, "s")) <= tonumber(trimsuffix(var.backoff.maximum, "s")), false)
    error_message = "minimum cannot be above maximum."
  }
}

variable "message_retention" {
  type        = string
  default     = "604800s"
  nullable    = false
  description = "How long Pub/Sub keeps what nobody acknowledged, dead letters too; a duration in seconds, 10 minutes to 31 days."

  validation {
    condition     = can(regex("^[0-9]+s$", var.message_retention)) && try(tonumber(trimsuffix(var.message_retention, "s")) >= 600 && tonumber(trimsuffix(var.message_retention, "s")) <= 2678400, false)
    error_message = "message_retention is a duration in seconds like 604800s, between 600s and 2678400s."
  }
}

variable "invokers" {
  type = object({
    mailings  = optional(set(string), [])
    customers = optional(set(string), [])
  })
  default     = {}
  nullable    = false
  description = "Who may call the two HTTP functions, as IAM members (user:, group:, serviceAccount:, principal:, principalSet:)."

  validation {
    condition     = alltrue([for m in setunion(var.invokers.mailings, var.invokers.customers) : can(regex("^(user|group|serviceAccount):[^@ ]+@[^@ ]+$|^principal(Set)?://[^ ]+$", m))])
    error_message = "An invoker is user:, group: or serviceAccount: with an address, principal:// or principalSet://. Neither allUsers nor a whole domain: these functions are not public."
  }

  validation {
    condition     = alltrue([for m in setunion(var.invokers.mailings, var.invokers.customers) : !endswith(m, "/*")])
    error_message = "An invoker is not a whole pool of identities (…/*): name the subject, the group or the attribute."
  }
}

variable "fcm_quota_per_minute" {
  type        = number
  default     = 600000
  nullable    = false
  description = "The project's FCM quota, sends a minute. Google gives 600,000; look it up under IAM & Admin, Quotas, fcm.googleapis.com."

  validation {
    condition     = var.fcm_quota_per_minute >= 600 && var.fcm_quota_per_minute <= 1000000000 && var.fcm_quota_per_minute == floor(var.fcm_quota_per_minute)
    error_message = "fcm_quota_per_minute is a whole number from 600 to 1000000000."
  }
}

variable "fcm_endpoint" {
  type        = string
  default     = "https://fcm.googleapis.com"
  nullable    = false
  description = "Where FCM is. Another than Google's gets no credentials."

  validation {
    condition     = can(regex("^https://[^/ ]+$", var.fcm_endpoint))
    error_message = "fcm_endpoint is https:// and a host, without a path."
  }
}

variable "proof_topic" {
  type        = string
  default     = "carillon-proof"
  nullable    = false
  description = "The FCM topic payloads are validated against. Nothing is sent to it; no app needs to subscribe to it."

  validation {
    condition     = can(regex("^[a-zA-Z0-9_.~%-]{1,900}$", var.proof_topic))
    error_message = "proof_topic is 1 to 900 letters, digits and -_.~%."
  }
}

variable "invalid_share" {
  type        = number
  default     = 0.3
  nullable    = false
  description = "The breaker: a greater share of INVALID_ARGUMENT among a batch's answers cannot be true."

  validation {
    condition     = var.invalid_share >= 0.01 && var.invalid_share <= 1
    error_message = "invalid_share is between 0.01 and 1."
  }
}

variable "max_tokens" {
  type        = number
  default     = 20
  nullable    = false
  description = "How many push tokens a customer has at most."

  validation {
    condition     = var.max_tokens >= 1 && var.max_tokens <= 100 && var.max_tokens == floor(var.max_tokens)
    error_message = "max_tokens is a whole number from 1 to 100."
  }
}

variable "token_life" {
  type        = string
  default     = "6480h"
  nullable    = false
  description = "How long an Android token lives that was not seen again, in hours."

  validation {
    condition     = can(regex("^[1-9][0-9]*h$", var.token_life)) && try(tonumber(trimsuffix(var.token_life, "h")) >= 24 && tonumber(trimsuffix(var.token_life, "h")) <= 87600, false)
    error_message = "token_life is whole hours like 6480h, between 24h and 87600h."
  }
}

variable "log_level" {
  type        = string
  default     = "info"
  nullable    = false
  description = "The least severity logged: debug, info, warn or error. Metrics, alerts and dashboard read lines of level info."

  validation {
    condition     = contains(["debug", "info", "warn", "error"], var.log_level)
    error_message = "log_level is debug, info, warn or error."
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
    moves_per_day          = optional(number, 10)
  })
  default     = {}
  nullable    = false
  description = "The public function: whether it is deployed, the claim of the caller's Firebase Auth ID token that is the customer's id, the Identity Platform tenant whose tokens are taken (empty: those of none), whether Google is asked at each call if the account still stands, the origins of web pages that may call, and what becomes of a call without a good Firebase App Check token: off (nobody asks for one), log or enforce. registrations_per_hour, registrations_per_day, moves_per_hour and moves_per_day limit the apps of one customer, in hours and days of UTC; a move takes a token from another customer."

  validation {
    condition     = can(regex("^[A-Za-z_][A-Za-z0-9_.:/-]*$", var.devices.customer_claim))
    error_message = "customer_claim is the name of a claim."
  }

  validation {
    condition     = !contains(["name", "picture", "email"], var.devices.customer_claim)
    error_message = "customer_claim is one that people cannot set themselves."
  }

  validation {
    condition     = contains(["off", "log", "enforce"], var.devices.app_check)
    error_message = "app_check is off, log or enforce."
  }

  validation {
    condition     = alltrue([for n in [var.devices.registrations_per_hour, var.devices.registrations_per_day, var.devices.moves_per_hour, var.devices.moves_per_day] : n >= 1 && n <= 1000000 && n == floor(n)])
    error_message = "registrations_per_hour, registrations_per_day, moves_per_hour and moves_per_day are whole numbers from 1 to 1000000."
  }

  validation {
    condition     = alltrue([for o in var.devices.allowed_origins : can(regex("^(https://[a-z0-9.-]+|http://localhost)(:[0-9]+)?$", o))])
    error_message = "allowed_origins are origins such as https://shop.example, without a path or a wildcard."
  }
}

variable "callers" {
  type        = map(list(string))
  default     = null
  description = "Who may do what with the HTTP API: from the caller (the e-mail address of a service account or a user, or the subject of the ID token) to a list of read, register, profile, erase, send and settings. null: everyone who may invoke a function may do everything. IAM decides first: a caller needs roles/run.invoker, too."

  validation {
    condition     = alltrue([for p in flatten(values(coalesce(var.callers, {}))) : contains(["read", "register", "profile", "erase", "send", "settings"], p)])
    error_message = "callers have read, register, profile, erase, send and settings."
  }
}

variable "require_idempotency_key" {
  type        = bool
  default     = false
  nullable    = false
  description = "Whether mailings without an Idempotency-Key are refused (400): a second try of a request without one sends a second time."
}

variable "audit" {
  type = object({
    enabled   = optional(bool, false)
    schedule  = optional(string, "0 4 * * 2")
    time_zone = optional(string, "Etc/UTC")
  })
  default     = {}
  nullable    = false
  description = "The dry run to everyone: whether, when (cron, five fields) and in which time zone. It uses as much of FCM's quota as a mailing to everyone."

  validation {
    condition     = length(split(" ", var.audit.schedule)) == 5 && alltrue([for i, field in split(" ", var.audit.schedule) : alltrue([for part in split(",", field) : can(regex(local.cron[i], lower(part)))]) if i < 5])
    error_message = "schedule is a cron expression of five fields with one space between: minute, hour, day of month, month, day of week."
  }

  validation {
    condition     = can(regex("^[A-Z][A-Za-z_]+(/[A-Z][A-Za-z0-9_+-]+)*$", var.audit.time_zone))
    error_message = "time_zone is a name like Europe/Riga or Etc/UTC."
  }
}

variable "reports" {
  type = object({
    enabled   = optional(bool, false)
    dataset   = optional(string, "carillon")
    location  = optional(string)
    keep_days = optional(number, 400)
  })
  default     = {}
  nullable    = false
  description = "BigQuery: whether the events of push-events are kept there, in which dataset and location (absent: the region), and for how many days."

  validation {
    condition     = can(regex("^[A-Za-z0-9_]+$", var.reports.dataset))
    error_message = "dataset is letters, digits and underscores."
  }

  validation {
    condition     = var.reports.location == null || contains(setunion(local.regions, ["EU", "US"]), coalesce(var.reports.location, "-"))
    error_message = "location is EU, US or a region."
  }

  validation {
    condition     = var.reports.keep_days >= 1 && var.reports.keep_days <= 3650 && var.reports.keep_days == floor(var.reports.keep_days)
    error_message = "keep_days is a whole number from 1 to 3650."
  }
}

variable "alert_emails" {
  type        = set(string)
  default     = []
  nullable    = false
  description = "Addresses that alerts are mailed to."

  validation {
    condition     = alltrue([for a in var.alert_emails : can(regex("^[^@ ]+@[^@ ]+[.][^@ ]+$", a))])
    error_message = "alert_emails are mail addresses."
  }
}

variable "notification_channels" {
  type        = set(string)
  default     = []
  nullable    = false
  description = "Further notification channels of Cloud Monitoring, by their full names."

  validation {
    condition     = alltrue([for c in var.notification_channels : can(regex("^projects/[^/]+/notificationChannels/[^/]+$", c))])
    error_message = "A channel is named projects/…/notificationChannels/…."
  }
}

variable "alerts" {
  type = object({
    oldest_message_seconds = optional(number, 900)
    oldest_single_seconds  = optional(number, 120)
    error_share            = optional(number, 0.05)
  })
  default     = {}
  nullable    = false
  description = "When to alert: age of the oldest message not acknowledged, the same of the lane of messages to one customer (oldest_single_seconds), and share of requests that end in 5xx."

  validation {
    condition     = var.alerts.oldest_message_seconds >= 60 && var.alerts.oldest_message_seconds <= 86400
    error_message = "oldest_message_seconds is between 60 and 86400."
  }

  validation {
    condition     = var.alerts.oldest_single_seconds >= 60 && var.alerts.oldest_single_seconds <= 86400
    error_message = "oldest_single_seconds is between 60 and 86400."
  }

  validation {
    condition     = var.alerts.error_share > 0 && var.alerts.error_share < 1
    error_message = "error_share is between 0 and 1."
  }
}

variable "budget" {
  type = object({
    billing_account = string
    amount          = number
    currency        = optional(string)
  })
  default     = null
  description = "A monthly budget of the project: billing account, amount, and currency (absent: the account's). Mails are sent at 50, 90 and 100 %. Absent: none."

  validation {
    condition     = var.budget == null || can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.budget.billing_account))
    error_message = "billing_account looks like 012345-6789AB-CDEF01."
  }

  validation {
    condition     = var.budget == null || try(var.budget.amount >= 1 && var.budget.amount == floor(var.budget.amount), false)
    error_message = "amount is a whole number from 1."
  }

  validation {
    condition     = var.budget == null || try(var.budget.currency == null || can(regex("^[A-Z]{3}$", var.budget.currency)), false)
    error_message = "currency is three capital letters like EUR."
  }
}
