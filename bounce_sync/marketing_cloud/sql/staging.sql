/* The staging, joined in SFMC: one row for each Held subscriber with a bounce in the last
   $evidence_days server days, its newest. For teams that export a data extension to SFTP by their
   own automation; bounce_sync reads the export with the source `files`.
   Target: a data extension like bounce_sync_staging, Overwrite. */
SELECT
    x.SubscriberKey,
    x.EmailAddress,
    x.BounceCategory,
    x.SMTPCode,
    x.BounceReason,
    x.BounceDate,
    x.Domain,
    x.EvidenceCount,
    x.BusinessUnit
FROM (
    SELECT
        b.SubscriberKey,
        s.EmailAddress,
        b.BounceCategory,
        CAST(b.SMTPCode AS VARCHAR(20)) AS SMTPCode,
        LEFT(b.SMTPBounceReason, 4000) AS BounceReason,
        CONVERT(VARCHAR(23), b.EventDate, 121) AS BounceDate,
        b.Domain,
        COUNT(*) OVER (PARTITION BY b.SubscriberKey) AS EvidenceCount,
        CAST(b.AccountID AS VARCHAR(20)) AS BusinessUnit,
        ROW_NUMBER() OVER (
            PARTITION BY b.SubscriberKey ORDER BY b.EventDate DESC, b.JobID DESC
        ) AS Newness
    FROM _Bounce b
    JOIN $subscribers s ON s.SubscriberID = b.SubscriberID
    WHERE s.Status = 'held'
        AND b.EventDate >= DATEADD(DAY, -$evidence_days, CAST(GETDATE() AS DATE))
        AND b.EventDate < CAST(GETDATE() AS DATE)
) x
WHERE x.Newness = 1
