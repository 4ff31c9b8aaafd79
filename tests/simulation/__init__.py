"""The production engine on simulated AWS: seeded, with faults at every request, and repeatable.

expressions, dynamodb   DynamoDB's conditions, transactions and stale indexes
aws                     S3 and SQS
wire                    the ways in which things go wrong, and where requests meet them
scheduler               processes in virtual time: killed, paused, with clocks that differ
scenario                random agents, drawn from a seed
people                  those who start, answer, cancel, deploy and redrive
outside, ledger         models, mail and tools, and what really happened there
world                   functions, queues, the sweeper: all of it, from one seed
checks, asked           what must hold, seen from outside
"""
