/* What an automation took into its Journey: a row for each run of bounce_sync. It is the step that
   the automation needs before a Journey can start with it.
   Target: the data extension bounce_sync_deliveries, Update. */
SELECT
    d.RunId,
    '$automation' AS Automation,
    COUNT(*) AS RowTotal
FROM $delivered d
WHERE d.RunId IS NOT NULL
GROUP BY d.RunId
