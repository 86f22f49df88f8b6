-- One row for each mailing that was opened. An event may have two rows, so its id is
-- counted.
SELECT
  JSON_VALUE(data, '$.data.mailing') AS mailing,
  COUNT(DISTINCT JSON_VALUE(data, '$.id')) AS opens,
  COUNT(DISTINCT JSON_VALUE(data, '$.data.customer')) AS customers,
  MIN(TIMESTAMP(JSON_VALUE(data, '$.data.at'))) AS first_at,
  MAX(TIMESTAMP(JSON_VALUE(data, '$.data.at'))) AS last_at
FROM `${events}`
WHERE JSON_VALUE(data, '$.type') = 'message.opened' AND JSON_VALUE(data, '$.data.mailing') IS NOT NULL
GROUP BY mailing
