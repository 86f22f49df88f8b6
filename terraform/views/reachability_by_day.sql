-- One row for each day (in UTC) and state: the customers whose availability changed on
-- that day and who had this state at its end. An event may have two rows and come late, so
-- the version decides which one is the last.
WITH changes AS (
  SELECT
    DATE(TIMESTAMP(JSON_VALUE(data, '$.time'))) AS day,
    JSON_VALUE(data, '$.data.customer') AS customer,
    JSON_VALUE(data, '$.data.availability.state') AS state,
    JSON_VALUE(data, '$.data.pushAvailable') = 'true' AS push_available,
    CAST(JSON_VALUE(data, '$.data.version') AS INT64) AS version
  FROM `${events}`
  WHERE JSON_VALUE(data, '$.type') = 'customer.availability.changed'
),
last_changes AS (
  SELECT day, customer, state, push_available
  FROM changes
  WHERE TRUE -- QUALIFY needs a clause before it
  QUALIFY ROW_NUMBER() OVER (PARTITION BY day, customer ORDER BY version DESC) = 1
)
SELECT day, state, push_available, COUNT(*) AS customers
FROM last_changes
GROUP BY day, state, push_available
