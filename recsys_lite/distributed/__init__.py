"""One model on several processes: DLRM with tables shared out, DHEN under FSDP2, and the runs that show them equal."""
