"""IAM on this machine: who may do what is decided by the deployed policies, and nothing else.

ministack (`AUTH=true`) checks each request's signature, and whether the policies of the role or user that signed it,
and that of the topic, queue, function, key or bucket that it names, let it through. An operator has an account's number
for a key, and may do everything, as the account's root. What ministack leaves out is added here:

- `decisions`: what was allowed and refused, written down; conditions and resources that ministack does not know
- `services`: what AWS's services do by themselves, with a role that they were given or by a resource's policy
- `outside`: the calls to services that are simulated outside the emulated AWS, such as Bedrock
"""
