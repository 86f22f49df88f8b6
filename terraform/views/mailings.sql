-- One row for each mailing that has started or ended, with its last sums. A mailing that
-- has not ended has no sums yet.
SELECT
  JSON_VALUE(data, '$.data.mailing') AS mailing,
  JSON_VALUE(data, '$.data.name') AS name,
  JSON_VALUE(data, '$.data.title') AS title,
  JSON_VALUE_ARRAY(data, '$.data.tags') AS tags,
  JSON_VALUE(data, '$.data.state') AS state,
  JSON_VALUE(data, '$.data.createdBy') AS created_by,
  IFNULL(JSON_VALUE(data, '$.data.dryRun') = 'true', FALSE) AS dry_run,
  TIMESTAMP(JSON_VALUE(data, '$.data.createdAt')) AS created_at,
  TIMESTAMP(JSON_VALUE(data, '$.data.startedAt')) AS started_at,
  TIMESTAMP(JSON_VALUE(data, '$.data.completedAt')) AS completed_at,
  TIMESTAMP(JSON_VALUE(data, '$.data.expiresAt')) AS expires_at,
  CAST(COALESCE(JSON_VALUE(data, '$.data.customers.estimated'), JSON_VALUE(data, '$.data.estimated')) AS INT64) AS customers_estimated,
  CAST(JSON_VALUE(data, '$.data.customers.matched') AS INT64) AS customers_matched,
  CAST(JSON_VALUE(data, '$.data.customers.targeted') AS INT64) AS customers_targeted,
  CAST(JSON_VALUE(data, '$.data.customers.notReached') AS INT64) AS customers_not_reached,
  JSON_QUERY(data, '$.data.customers.excluded') AS customers_excluded,
  CAST(JSON_VALUE(data, '$.data.tokens.targeted') AS INT64) AS tokens_targeted,
  CAST(JSON_VALUE(data, '$.data.tokens.accepted') AS INT64) AS tokens_accepted,
  CAST(JSON_VALUE(data, '$.data.tokens.invalid.UNREGISTERED') AS INT64)
    + CAST(JSON_VALUE(data, '$.data.tokens.invalid.INVALID_ARGUMENT') AS INT64)
    + CAST(JSON_VALUE(data, '$.data.tokens.invalid.SENDER_ID_MISMATCH') AS INT64) AS tokens_invalid,
  CAST(JSON_VALUE(data, '$.data.tokens.refused') AS INT64) AS tokens_refused,
  CAST(JSON_VALUE(data, '$.data.tokens.failed') AS INT64) AS tokens_failed,
  CAST(JSON_VALUE(data, '$.data.tokens.expired') AS INT64) AS tokens_expired,
  CAST(JSON_VALUE(data, '$.data.tokens.cancelled') AS INT64) AS tokens_cancelled,
  CAST(JSON_VALUE(data, '$.data.missingAttribute') AS INT64) AS tokens_missing_attribute,
  JSON_QUERY(data, '$.data.platforms') AS platforms,
  JSON_QUERY(data, '$.data.apps') AS apps,
  JSON_QUERY(data, '$.data.variants') AS variants
FROM `${events}`
WHERE JSON_VALUE(data, '$.type') IN ('mailing.started', 'mailing.completed')
-- mailing.completed counts where both are there: its type comes first in the order.
QUALIFY ROW_NUMBER() OVER (PARTITION BY JSON_VALUE(data, '$.data.mailing') ORDER BY JSON_VALUE(data, '$.type'), publish_time) = 1
