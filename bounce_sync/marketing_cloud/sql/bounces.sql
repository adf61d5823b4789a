/* Bounces of a window of server time, every category, for bounce_sync_bounces.
   EventDate travels as text, since a data extension's dates lose their milliseconds. There is always
   a row, so that an empty window can be told from a run that failed. */
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
    FROM _Bounce b
    WHERE b.EventDate >= '$start'
        AND b.EventDate < '$end'
) x ON x.RowTotal > 0
