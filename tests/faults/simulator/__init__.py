"""The production engine on simulated AWS: seeded, with faults at every request, and repeatable.

expressions, dynamodb   DynamoDB's conditions, transactions and stale indexes
aws                     S3 and SQS, and the ways in which a request can fail
scheduler               processes in virtual time: killed, paused, with clocks that differ
scenario                random agents, drawn from a seed
world                   functions, queues, approvers, operators, the sweeper
checks                  what must hold, seen from outside
"""
