/* Bounces of the keys in bounce_sync_keys, every category, for bounce_sync_bounces. */
SELECT
    '$run' AS RunId,
    ISNULL(x.RowNumber, 0) AS RowNumber,
    ISNULL(x.RowTotal, 0) AS RowTotal,
    x.BusinessUnit,
    x.SubscriberKey,
    x.EventDate,
    x.BounceCategory,
    x.BounceSubcategory,
    x.SMTPCode,
    x.SMTPReason,
    x.Domain,
    x.JobID
FROM (SELECT 1 AS Marker) m
LEFT JOIN (
    SELECT
        ROW_NUMBER() OVER (ORDER BY b.EventDate, b.JobID, b.SubscriberID) AS RowNumber,
        COUNT(*) OVER () AS RowTotal,
        CAST(b.AccountID AS VARCHAR(20)) AS BusinessUnit,
        b.SubscriberKey,
        CONVERT(VARCHAR(23), b.EventDate, 121) AS EventDate,
        b.BounceCategory,
        b.BounceSubcategory,
        CAST(b.SMTPCode AS VARCHAR(20)) AS SMTPCode,
        LEFT(b.SMTPBounceReason, 4000) AS SMTPReason,
        b.Domain,
        CAST(b.JobID AS VARCHAR(20)) AS JobID
    FROM bounce_sync_keys k
    JOIN _Bounce b ON b.SubscriberKey = k.SubscriberKey
) x ON x.RowTotal > 0
