# Nothing of it is needed to run the tasks that the harness runs.
