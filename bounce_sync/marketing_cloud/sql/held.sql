/* Every subscriber that is Held, for bounce_sync_held. */
SELECT
    '$run' AS RunId,
    ISNULL(x.RowNumber, 0) AS RowNumber,
    ISNULL(x.RowTotal, 0) AS RowTotal,
    x.SubscriberKey,
    x.EmailAddress,
    x.Status,
    x.DateUndeliverable
FROM (SELECT 1 AS Marker) m
LEFT JOIN (
    SELECT
        ROW_NUMBER() OVER (ORDER BY s.SubscriberID) AS RowNumber,
        COUNT(*) OVER () AS RowTotal,
        s.SubscriberKey,
        s.EmailAddress,
        s.Status,
        CONVERT(VARCHAR(23), s.DateUndeliverable, 121) AS DateUndeliverable
    FROM $subscribers s
    WHERE s.Status = 'held'
) x ON x.RowTotal > 0
