-- Run once by the PostgreSQL image. The ledger has a database of its own: both it and Dagster keep
-- the number of their last migration in a table of the same name.
CREATE DATABASE ledger;
