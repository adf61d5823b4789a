/* The status of the keys in bounce_sync_keys, for bounce_sync_statuses. */
SELECT
    '$run' AS RunId,
    ISNULL(x.RowNumber, 0) AS RowNumber,
    ISNULL(x.RowTotal, 0) AS RowTotal,
    x.SubscriberKey,
    x.Status
FROM (SELECT 1 AS Marker) m
LEFT JOIN (
    SELECT
        ROW_NUMBER() OVER (ORDER BY s.SubscriberID) AS RowNumber,
        COUNT(*) OVER () AS RowTotal,
        s.SubscriberKey,
        s.Status
    FROM bounce_sync_keys k
    JOIN $subscribers s ON s.SubscriberKey = k.SubscriberKey
) x ON x.RowTotal > 0
