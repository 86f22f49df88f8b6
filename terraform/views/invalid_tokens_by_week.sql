-- One row for each week (from Monday, in UTC), code, platform and app: the tokens that were flagged. An
-- event may have two rows, so its id is counted.
SELECT
  DATE_TRUNC(DATE(TIMESTAMP(JSON_VALUE(data, '$.data.at'))), WEEK(MONDAY)) AS week,
  JSON_VALUE(data, '$.data.code') AS code,
  JSON_VALUE(data, '$.data.platform') AS platform,
  JSON_VALUE(data, '$.data.app') AS app,
  COUNT(DISTINCT JSON_VALUE(data, '$.id')) AS tokens,
  COUNT(DISTINCT JSON_VALUE(data, '$.data.customer')) AS customers,
  COUNT(DISTINCT JSON_VALUE(data, '$.data.mailing')) AS mailings
FROM `${events}`
WHERE JSON_VALUE(data, '$.type') = 'token.invalidated'
GROUP BY week, code, platform, app
