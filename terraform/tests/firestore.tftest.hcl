# The database, and that the indexes which Terraform makes from firestore.indexes.json
# are those that the code needs.

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

run "database" {
  assert {
    condition     = google_firestore_database.this.name == "carillon" && google_firestore_database.this.project == "shop-push" && google_firestore_database.this.location_id == "europe-west1" && google_firestore_database.this.type == "FIRESTORE_NATIVE" && google_firestore_database.this.concurrency_mode == "PESSIMISTIC"
    error_message = "The database must be one of its own, in native mode, in the region: a project may have a default database, which apps use."
  }
  assert {
    condition     = google_firestore_database.this.delete_protection_state == "DELETE_PROTECTION_ENABLED" && google_firestore_database.this.deletion_policy == "DELETE" && google_firestore_database.this.point_in_time_recovery_enablement == "POINT_IN_TIME_RECOVERY_ENABLED"
    error_message = "The database must have delete protection and point-in-time recovery."
  }
  assert {
    condition     = google_firestore_backup_schedule.daily.database == "carillon" && google_firestore_backup_schedule.daily.retention == "604800s" && length(google_firestore_backup_schedule.daily.daily_recurrence) == 1 && google_firestore_backup_schedule.daily.project == "shop-push"
    error_message = "There must be a backup each day."
  }
}

run "the_default_database" {
  variables {
    database = "(default)"
  }
  expect_failures = [check.database_is_not_shared]
  assert {
    condition     = google_firebaserules_release.this.name == "cloud.firestore"
    error_message = "The rules must be released for the default database if it is Carillon's."
  }
}

run "another_database" {
  variables {
    database           = "push"
    firestore_location = "eur3"
    protect_data       = false
    backup_retention   = "1209600s"
    bigquery           = { enabled = true }
  }
  assert {
    condition     = google_firestore_database.this.name == "push" && google_firestore_database.this.location_id == "eur3" && google_firestore_database.this.delete_protection_state == "DELETE_PROTECTION_DISABLED" && google_firestore_backup_schedule.daily.retention == "1209600s" && google_bigquery_table.events[0].deletion_protection == false
    error_message = "The settings of the database have no effect."
  }
  assert {
    condition     = toset(concat([for i in google_firestore_index.this : i.database], [for f in google_firestore_field.this : f.database], [google_firestore_backup_schedule.daily.database])) == toset(["push"])
    error_message = "Indexes, exemptions and backups must belong to the configured database."
  }
  assert {
    condition     = google_firebaserules_release.this.name == "cloud.firestore/push"
    error_message = "The rules must be released for the configured database."
  }
}

run "indexes" {
  assert {
    condition = toset([for i in google_firestore_index.this : "${i.project} ${i.collection} ${i.query_scope} ${join(", ", [for f in i.fields : "${f.field_path} ${f.order != null ? f.order : f.array_config}"])}"]) == toset([
      "shop-push customers COLLECTION prefix ASCENDING, changedAt ASCENDING",
      "shop-push mailings COLLECTION state ASCENDING, createdAt DESCENDING",
      "shop-push mailings COLLECTION tags CONTAINS, createdAt DESCENDING",
      "shop-push mailings COLLECTION state ASCENDING, startAt ASCENDING",
      "shop-push mailings COLLECTION state ASCENDING, expiresAt ASCENDING",
      "shop-push messages COLLECTION customer ASCENDING, createdAt DESCENDING",
      "shop-push batches COLLECTION_GROUP lane ASCENDING, open ASCENDING, size ASCENDING",
      "shop-push batches COLLECTION lane ASCENDING, open ASCENDING, size ASCENDING",
      "shop-push batches COLLECTION open ASCENDING, size ASCENDING",
      "shop-push batches COLLECTION open ASCENDING, publishedAt ASCENDING",
      "shop-push shards COLLECTION targeted ASCENDING, noValidToken ASCENDING, optedOut ASCENDING, category ASCENDING, unknown ASCENDING",
      "shop-push batches COLLECTION size ASCENDING, tally.accepted ASCENDING, tally.unregistered ASCENDING, tally.invalidArgument ASCENDING, tally.refused ASCENDING",
      "shop-push batches COLLECTION tally.failed ASCENDING, tally.expired ASCENDING, tally.cancelled ASCENDING, tally.wrongSender ASCENDING",
      "shop-push shards COLLECTION muted ASCENDING, filtered ASCENDING, control ASCENDING",
      "shop-push shards COLLECTION targetedBy.v0 ASCENDING, targetedBy.v1 ASCENDING, targetedBy.v2 ASCENDING, targetedBy.v3 ASCENDING, targetedBy.v4 ASCENDING",
      "shop-push batches COLLECTION variantTally.v0.size ASCENDING, variantTally.v0.accepted ASCENDING, variantTally.v0.unregistered ASCENDING, variantTally.v0.invalidArgument ASCENDING, variantTally.v0.refused ASCENDING",
      "shop-push batches COLLECTION variantTally.v0.failed ASCENDING, variantTally.v0.expired ASCENDING, variantTally.v0.cancelled ASCENDING, variantTally.v0.wrongSender ASCENDING",
      "shop-push batches COLLECTION variantTally.v1.size ASCENDING, variantTally.v1.accepted ASCENDING, variantTally.v1.unregistered ASCENDING, variantTally.v1.invalidArgument ASCENDING, variantTally.v1.refused ASCENDING",
      "shop-push batches COLLECTION variantTally.v1.failed ASCENDING, variantTally.v1.expired ASCENDING, variantTally.v1.cancelled ASCENDING, variantTally.v1.wrongSender ASCENDING",
      "shop-push batches COLLECTION variantTally.v2.size ASCENDING, variantTally.v2.accepted ASCENDING, variantTally.v2.unregistered ASCENDING, variantTally.v2.invalidArgument ASCENDING, variantTally.v2.refused ASCENDING",
      "shop-push batches COLLECTION variantTally.v2.failed ASCENDING, variantTally.v2.expired ASCENDING, variantTally.v2.cancelled ASCENDING, variantTally.v2.wrongSender ASCENDING",
      "shop-push batches COLLECTION variantTally.v3.size ASCENDING, variantTally.v3.accepted ASCENDING, variantTally.v3.unregistered ASCENDING, variantTally.v3.invalidArgument ASCENDING, variantTally.v3.refused ASCENDING",
      "shop-push batches COLLECTION variantTally.v3.failed ASCENDING, variantTally.v3.expired ASCENDING, variantTally.v3.cancelled ASCENDING, variantTally.v3.wrongSender ASCENDING",
      "shop-push batches COLLECTION variantTally.v4.size ASCENDING, variantTally.v4.accepted ASCENDING, variantTally.v4.unregistered ASCENDING, variantTally.v4.invalidArgument ASCENDING, variantTally.v4.refused ASCENDING",
      "shop-push batches COLLECTION variantTally.v4.failed ASCENDING, variantTally.v4.expired ASCENDING, variantTally.v4.cancelled ASCENDING, variantTally.v4.wrongSender ASCENDING",
      "shop-push batches COLLECTION platformTally.android.size ASCENDING, platformTally.ios.size ASCENDING, platformTally.web.size ASCENDING, platformTally.unknown.size ASCENDING, missingAttribute ASCENDING",
      "shop-push batches COLLECTION platformTally.android.size ASCENDING, platformTally.android.accepted ASCENDING, platformTally.android.unregistered ASCENDING, platformTally.android.invalidArgument ASCENDING, platformTally.android.refused ASCENDING",
      "shop-push batches COLLECTION platformTally.android.failed ASCENDING, platformTally.android.expired ASCENDING, platformTally.android.cancelled ASCENDING, platformTally.android.wrongSender ASCENDING",
      "shop-push batches COLLECTION platformTally.ios.size ASCENDING, platformTally.ios.accepted ASCENDING, platformTally.ios.unregistered ASCENDING, platformTally.ios.invalidArgument ASCENDING, platformTally.ios.refused ASCENDING",
      "shop-push batches COLLECTION platformTally.ios.failed ASCENDING, platformTally.ios.expired ASCENDING, platformTally.ios.cancelled ASCENDING, platformTally.ios.wrongSender ASCENDING",
      "shop-push batches COLLECTION platformTally.web.size ASCENDING, platformTally.web.accepted ASCENDING, platformTally.web.unregistered ASCENDING, platformTally.web.invalidArgument ASCENDING, platformTally.web.refused ASCENDING",
      "shop-push batches COLLECTION platformTally.web.failed ASCENDING, platformTally.web.expired ASCENDING, platformTally.web.cancelled ASCENDING, platformTally.web.wrongSender ASCENDING",
      "shop-push batches COLLECTION platformTally.unknown.size ASCENDING, platformTally.unknown.accepted ASCENDING, platformTally.unknown.unregistered ASCENDING, platformTally.unknown.invalidArgument ASCENDING, platformTally.unknown.refused ASCENDING",
      "shop-push batches COLLECTION platformTally.unknown.failed ASCENDING, platformTally.unknown.expired ASCENDING, platformTally.unknown.cancelled ASCENDING, platformTally.unknown.wrongSender ASCENDING",
      "shop-push batches COLLECTION held.unregistered ASCENDING, held.invalidArgument ASCENDING, held.wrongSender ASCENDING",
    ])
    error_message = "The changes of rosters, the list of mailings, the queries of tick and the sums of mailings need exactly these indexes."
  }
  assert {
    condition = toset([for f in google_firestore_field.this : "${f.collection}.${f.field}" if length(f.ttl_config) == 0]) == toset([
      "customers.tokens", "customers.attributes", "customers.categories", "mailings.draft",
      "customers.id", "customers.timeZone", "customers.version", "customers.availability", "customers.createdAt",
      "customers.revision", "customers.status", "customers.consents", "customers.objected", "customers.usage", "tokens.before",
      "customers.prefix", "customers.changedAt", "rosters.at", "rosters.builtAt", "rosters.parts", "rosters.data", "rosters.write",
      "objections.at", "erasures.tokens", "erasures.at", "erasures.after", "erasures.afterExpiry", "batches.first", "batches.last", "batches.recipients", "batches.platformTally", "batches.missingAttribute", "batches.missingAttributeOf", "batches.variantOf", "batches.zone", "mailings.hours", "mailings.rate", "mailings.nextSlot",
      "tokens.customer", "tokens.key", "outbox.event", "instances.rate", "instances.known", "instances.ramp", "instances.at",
      "batches.targets", "batches.results", "batches.invalidTokens", "batches.owedFlags", "batches.tries", "batches.crashes", "batches.saved", "batches.crashedWith", "batches.underWay", "batches.heldFlags",
      "batches.write", "mailings.write", "shards.write", "customers.write", "controls.tokens", "audience.customers", "audience.tokens", "audience.owners",
      "messages.draft", "messages.title", "messages.digest", "messages.createdBy", "messages.state", "messages.excluded", "messages.refusal", "messages.createdAt", "messages.completedAt",
      "deliveryData.days", "deliveryData.asOf", "stats.fcm", "batches.appTally", "batches.settledAt", "batches.limited", "mailings.pauses",
      "reports.openedAt", "reports.createdAt", "reports.write",
      "messages.expiresAt", "messages.publishedAt", "messages.pickedAt", "messages.notBefore", "messages.settled", "messages.leases", "messages.tries", "messages.crashes", "messages.saved",
      "messages.crashedWith", "messages.underWay", "messages.leaseOwner", "messages.leaseUntil", "messages.reason", "messages.targets", "messages.recipients", "messages.results", "messages.owedFlags",
      "messages.heldFlags", "messages.invalidTokens", "messages.write",
      "unflags.after", "unflags.owner", "unflags.leaseUntil", "unflags.moved",
      "batches.createdAt", "batches.notBefore", "batches.publishedAt", "batches.leaseUntil", "batches.leaseOwner", "batches.reason", "batches.leases", "batches.lane", "batches.shard",
      "shards.after", "shards.from", "shards.upto", "shards.batches", "shards.leaseUntil", "shards.nextSlot", "shards.continueAt", "shards.publishedAt",
    ])
    error_message = "Fields without queries must not be indexed: large ones, those that grow with the clock, and those of the busiest collections."
  }
  assert {
    condition     = toset([for f in google_firestore_field.this : "${f.collection}.${f.field}" if length(f.ttl_config) == 1]) == toset(["mailings.expireAt", "batches.expireAt", "shards.expireAt", "audience.expireAt", "unflags.expireAt", "outbox.expireAt", "controls.expireAt", "erasures.expireAt", "instances.expireAt", "messages.expireAt", "reports.expireAt", "deliveryData.expireAt", "rosters.expireAt"])
    error_message = "Documents with expireAt must have a TTL policy on it."
  }
  assert {
    condition     = alltrue([for k, f in google_firestore_field.this : length(f.index_config) == 1 && length(f.index_config[0].indexes) == (k == "batches.last" ? 1 : 0) && f.project == "shop-push"])
    error_message = "An exempt field, and a field that grows with the clock, must have no index."
  }
  assert {
    condition     = [for i in one(google_firestore_field.this["batches.last"].index_config).indexes : "${i.order} ${i.query_scope}"] == ["ASCENDING COLLECTION"]
    error_message = "The query for the batch of a customer needs the index on the last key of batches, in one mailing."
  }
}

run "rules" {
  assert {
    condition     = google_firebaserules_ruleset.this.source[0].files[0].content == file("../firestore.rules") && length(google_firebaserules_ruleset.this.source[0].files) == 1 && google_firebaserules_ruleset.this.project == "shop-push"
    error_message = "The rules must be those of firestore.rules."
  }
  assert {
    condition     = length(regexall("allow ", google_firebaserules_ruleset.this.source[0].files[0].content)) == 1 && length(regexall("allow read, write: if false;", google_firebaserules_ruleset.this.source[0].files[0].content)) == 1
    error_message = "The rules must refuse every request."
  }
  assert {
    condition     = google_firebaserules_release.this.name == "cloud.firestore/carillon" && google_firebaserules_release.this.ruleset_name == google_firebaserules_ruleset.this.name && google_firebaserules_release.this.project == "shop-push"
    error_message = "The rules must be released for Carillon's database. Those of the default database, which apps may use, must stay as they are."
  }
}
