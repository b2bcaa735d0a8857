-- What of a sample StopTransaction repeats (StopTxnSampledData, StopTxnAlignedData), as configured when it was taken.

ALTER TABLE sample ADD COLUMN stop_measurands TEXT NOT NULL DEFAULT '';
